#!/bin/sh
# The board's half of harness: one POSIX sh file for dash, bash, mksh and busybox ash. Needs no Python, no `timeout`
# and no sftp; needs /proc and the programs below (busybox has all).
#
#   sh agent.sh [work=DIR] [shell=SHELL] [lease=N.NONCE] [boot=ID] [path=FOLDERS] VERB ...
#
# Answers are lines `key=value`, the last one is `end=1`; bytes other than safe ones are written \0ooo. A refusal is
# `error=word` with `detail=...`. Lists that may hold any name are read and written NUL-separated.
# In WORK: agent/ cache/ (content-addressed) runs/ (what tools leave) jobs/TOKEN/ (state of runs) lease/.

version=1
programs='cat chmod date df find ln ls md5sum mkdir mv printf rm rmdir sed sleep tail tar touch tr uname xargs'
# shellcheck disable=SC2034 # used where the board has them; the list is held to this file by a test
extras='dd getconf gzip mkfifo python3 setsid stat'
original_lc_all=${LC_ALL-}
LC_ALL=C
export LC_ALL
work=. shell=sh lease='' lease_boot=''
while :; do
  case ${1-} in
    work=*) work=${1#work=} ;;
    shell=*) shell=${1#shell=} ;;
    lease=*) lease=${1#lease=} ;;
    boot=*) lease_boot=${1#boot=} ;;
    path=*) HARNESS_PATH=${1#path=} ;;
    *) break ;;
  esac
  shift
done
umask 022
proc=/proc
sysfs=${HARNESS_SYSFS:-/sys}
newline='
'
safe='A-Za-z0-9._/:@%+,=~^ -'

# ------------------------------------------------------------------ text

escape() { # $1 -> stdout, every byte that is not plain as \0ooo
  case $1 in
    *[!$safe]*) ;;
    *) printf '%s' "$1"; return ;;
  esac
  e_rest=$1
  while [ -n "$e_rest" ]; do
    e_char=${e_rest%"${e_rest#?}"}
    e_rest=${e_rest#?}
    case $e_char in
      [$safe]) printf '%s' "$e_char" ;;
      *) e_code=$(printf '%d' "'$e_char"); printf '\\0%03o' $((e_code & 255)) ;;
    esac
  done
}

unescape() { # $1 -> $u; the common case starts no process
  case $1 in *\\*) ;; *) u=$1; return ;; esac
  u=$(printf '%bx' "$1")
  u=${u%x}
}

say() { # key value
  printf '%s=' "$1"
  escape "$2"
  echo
}

fail() { # word detail: the refusal, and the end
  say error "$1"
  say detail "${2-}"
  echo end=1
  exit 1
}

number() { # is $1 a plain whole number
  case $1 in '' | 0?* | *[!0-9]*) return 1 ;; esac
}

hex() { # is $1 made of hex digits
  case $1 in '' | *[!0-9a-f]*) return 1 ;; esac
}

# ------------------------------------------------------------------ numbers above 2^31

# mksh and small builds of busybox count in 32 bits. Sizes in bytes and times in hundredths of a second may be larger:
# they are kept as text, and calculated in two parts of which the lower one has six digits.

parts() { # whole number -> $high $low; from 10^15 on all are the same: more than any board has
  high=${1%??????}
  if [ "$high" = "$1" ]; then
    high=0 low=$1
  else
    low=$((1${1#"$high"} - 1000000)) # not as it is: 08 would be read as octal
    high=${high:-0}
  fi
  [ ${#high} -lt 10 ] || high=1000000000
}

join() { # $high $low -> $n; 0 for what is below it
  high=$((high + low / 1000000)) low=$((low % 1000000))
  if [ "$low" -lt 0 ]; then high=$((high - 1)) low=$((low + 1000000)); fi
  n=$low
  if [ "$high" -gt 0 ]; then low=$((low + 1000000)) n=$high${low#1}; fi
  [ "$high" -ge 0 ] || n=0
}

plus() { # two whole numbers -> $n
  parts "$1"
  a_high=$high a_low=$low
  parts "$2"
  high=$((a_high + high)) low=$((a_low + low))
  join
}

minus() { # two whole numbers -> $n, 0 where the second is the larger
  parts "$1"
  a_high=$high a_low=$low
  parts "$2"
  high=$((a_high - high)) low=$((a_low - low))
  join
}

times_1024() { # whole number -> $n
  parts "$1"
  high=$((high * 1024)) low=$((low * 1024))
  join
}

below() { # is the first of two whole numbers the smaller
  parts "$1"
  a_high=$high a_low=$low
  parts "$2"
  [ "$a_high" -lt "$high" ] || { [ "$a_high" -eq "$high" ] && [ "$a_low" -lt "$low" ]; }
}

# ------------------------------------------------------------------ facts

uptime_cs() { # -> $cs, hundredths of a second since boot; the wall clock of a board may be years off
  cs=0
  if read -r u_all _ <"$proc/uptime"; then cs=${u_all%.*}${u_all#*.}; fi
  while :; do
    case $cs in 0?*) cs=${cs#0} ;; *) return ;; esac
  done
}

since() { # a time in hundredths of a second, of a file that may be damaged -> $n, how long ago it was
  uptime_cs
  if number "$1"; then minus "$cs" "$1"; else n=$cs; fi
}

boot_id() { # -> $boot
  boot=unknown
  read -r boot <"${HARNESS_BOOT_ID:-$proc/sys/kernel/random/boot_id}"
} 2>/dev/null

unguessable() { # -> $tag: for names that must be new. A process number is met again after a while, and after every boot.
  tag=
  read -r tag <"$proc/sys/kernel/random/uuid"
  tag=$tag.$$
} 2>/dev/null

size_of() { # $1 a regular file -> $size; ls -n: the only portable way that does not read the file
  set -f
  # shellcheck disable=SC2046 # split: the size is the fifth word
  set -- $(ls -lnd "$1" 2>/dev/null)
  set +f
  size=${5:-0}
}

free_bytes() { # of the work folder's file system -> $free ("" when not told), $total
  free='' total=''
  f_line=$(df -Pk "$work" 2>/dev/null)
  f_line=${f_line##*"$newline"}
  f_line=${f_line%%%*}
  set -f
  # shellcheck disable=SC2086
  set -- $f_line
  set +f
  while [ $# -gt 4 ]; do shift; done
  if ! number "${3-}" || ! number "$1"; then return; fi
  times_1024 "$1"
  total=$n
  times_1024 "$3"
  free=$n
}

libc() {
  getconf GNU_LIBC_VERSION 2>/dev/null && return
  for l_file in /lib/ld-musl* /lib/ld-uClibc* /lib/ld-linux* /lib64/ld-linux*; do
    if [ -e "$l_file" ]; then echo "${l_file##*/}"; return; fi
  done
}

first_line_of() { # file key: the first "key : value" of a file like cpuinfo
  while IFS= read -r i_line; do
    case $i_line in "$2"*:*) i_line=${i_line#*:}; echo "${i_line# }"; return ;; esac
  done <"$1"
} 2>/dev/null

cpu_count() {
  c_count=0
  while IFS= read -r c_line; do
    case $c_line in processor*) c_count=$((c_count + 1)) ;; esac
  done <"$proc/cpuinfo"
  echo "$c_count"
}

lacking() { # the programs that the agent needs and the board has not; plain `echo`: `printf` may be one of them
  k_lacks=
  for k_program in $programs; do
    command -v "$k_program" >/dev/null 2>&1 || k_lacks="$k_lacks${k_lacks:+ }$k_program"
  done
  [ -n "$k_lacks" ] || return 0
  echo error=lacking
  echo "detail=$k_lacks"
  echo end=1
  exit 1
}

head_of() { # the first 200 bytes of file $1 on one line; nothing where it cannot be read
  [ -r "$1" ] && [ -f "$1" ] && dd if="$1" bs=200 count=1 2>/dev/null | tr '\000\n\t' '   '
}

do_hello() { # tool names on stdin, one escaped name per line; HARNESS_PATH is searched first
  lacking
  mkdir -p "$work/cache" "$work/runs" "$work/jobs" 2>/dev/null || fail cannot_write "$work"
  [ -w "$work" ] || fail cannot_write "$work"
  say agent "$version"
  say work "$work"
  say arch "$(uname -m)"
  say kernel "$(uname -r)"
  say hostname "$(uname -n)"
  say libc "$(libc)"
  # shellcheck source=/dev/null
  say os "$(h_name=''; [ -r /etc/os-release ] &&
    . /etc/os-release && h_name=${PRETTY_NAME-}; echo "$h_name")"
  h_root= # a played board's own files lie below its home
  [ ! -f "${HOME-}/board.json" ] || h_root=$HOME
  [ "$sysfs" = /sys ] || say sysfs "$sysfs"
  say image "$(head_of "$h_root/etc/version")"
  h_soc=$(head_of "$h_root/sys/class/socinfo/soc_name")
  h_soc=${h_soc:-$(head_of "$h_root/proc/device-tree/model")}
  say soc_name "${h_soc:-$(first_line_of "$proc/cpuinfo" machine)}"
  say npu_cores "$(head_of "$h_root/sys/devices/system/bpu/core_num")"
  h_cpu=$(first_line_of "$proc/cpuinfo" 'model name')
  say cpu "${h_cpu:-$(first_line_of "$proc/cpuinfo" Hardware)}"
  say cpu_features "$(f_text=$(first_line_of "$proc/cpuinfo" Features); echo "${f_text:-$(first_line_of "$proc/cpuinfo" flags)}")"
  say cpu_count "$(cpu_count)"
  say memory_kb "$(first_line_of "$proc/meminfo" MemTotal)"
  boot_id
  say boot "$boot"
  uptime_cs
  say uptime_cs "$cs"
  say clock_s "$(date +%s)"
  free_bytes
  say free_bytes "$free"
  say total_bytes "$total"
  PATH=${HARNESS_PATH:+$HARNESS_PATH:}$PATH
  while IFS= read -r h_line; do
    unescape "$h_line"
    printf 'tool='
    escape "$u"
    printf '\t'
    escape "$(command -v "$u" 2>/dev/null)"
    echo
  done
  echo end=1
}

# ------------------------------------------------------------------ cache

cache_name() { # a name in the cache: 32 hex digits and perhaps a short suffix
  n_rest=${1#????????????????????????????????}
  n_md5=${1%"$n_rest"}
  if [ ${#n_md5} -ne 32 ] || ! hex "$n_md5"; then return 1; fi
  case $n_rest in '' | .*) ;; *) return 1 ;; esac
  case $n_rest in *[!A-Za-z0-9._]* | ????????????????????*) return 1 ;; esac
}

stamp_of() { # $1 a file -> $stamp: size, inode and change times, as finely as the board tells them. Writing changes it.
  stamp=$(stat -c '%s %i %y %z' "$1" || ls -lnidc "$1")
  set -f
  # shellcheck disable=SC2086
  set -- $stamp
  set +f
  stamp=$*
} 2>/dev/null

cached() { # is $1 in the cache, whole? Hashed once per boot (a power cut can leave a renamed but empty file), and again
  # when it was written to since.
  [ -f "$cache/$1" ] || return 1
  c_mark=
  [ -r "$cache/.$1.ok" ] && IFS= read -r c_mark <"$cache/.$1.ok"
  stamp_of "$cache/$1"
  [ "$c_mark" = "$boot $stamp" ] && return 0
  cache_name "$1"
  c_sum=$(md5sum <"$cache/$1")
  if [ "${c_sum%% *}" = "$n_md5" ]; then
    echo "$boot $stamp" >"$cache/.$1.ok"
    return 0
  fi
  rm -f "$cache/$1" "$cache/.$1.ok"
  say damaged "$1"
  return 1
} 2>/dev/null

do_verify() { # stdin: names in the cache. Each is hashed now, whatever was noted of it; a damaged one is deleted.
  check_lease
  boot_id
  while read -r v_name; do
    cache_name "$v_name" || fail usage "$v_name"
    rm -f "$cache/.$v_name.ok"
    if cached "$v_name"; then say whole "$v_name"; fi
  done
  echo end=1
}

cache_bytes() { # -> $used
  used=0
  for b_file in "$cache"/[0-9a-f]* "$cache"/.*.part; do
    if [ -f "$b_file" ]; then size_of "$b_file"; plus "$used" "$size"; used=$n; fi
  done
}

roomy() { # bytes that will come, limit of the cache: is there room for them
  plus "$used" "$1"
  ! below "$2" "$n" || return 1
  [ -n "$free" ] || return 0
  plus "$1" "$reserve"
  ! below "$free" "$n"
}

unmarked() { # names of files in the cache whose mark a power cut has taken
  for o_file in [0-9a-f]*; do
    [ ! -f "$o_file" ] || [ -e ".$o_file.ok" ] || echo "$o_file"
  done
}

by_use() { # what may leave the cache, in this order: cut-off pushes, files without a mark, the least recently used
  cd "$cache" && { ls -tr .*.part; unmarked; ls -tr .*.ok; }
} 2>/dev/null

make_room() { # bytes that will come, limit of the cache: delete what the session that asks does not need
  cache_bytes
  free_bytes
  for r_file in $(by_use); do
    ! roomy "$1" "$2" || return 0
    r_name=${r_file#.}
    r_name=${r_name%.ok}
    r_name=${r_name%.part}
    case " $wanted " in *" $r_name "*) continue ;; esac
    case $r_file in
      .*.part) [ ! -d "$cache/$r_file.lock" ] || continue ;; # it is being pushed
      *) r_file=$r_name ;;
    esac
    size_of "$cache/$r_file"
    rm -f "$cache/$r_file" "$cache/$r_file.sum" "$cache/.$r_file.ok"
    minus "$used" "$size"
    used=$n
    say evicted "$r_name"
    free_bytes
  done
}

do_have() { # limit of the cache in bytes; stdin: lines "name size", all that the session needs. Makes room for the rest.
  check_lease
  number "${1-}" || fail usage "have LIMIT"
  mkdir -p "$cache" 2>/dev/null || fail cannot_write "$cache"
  boot_id
  h_missing=0 wanted=''
  while read -r h_name h_size; do
    if ! cache_name "$h_name" || ! number "$h_size"; then fail usage "$h_name"; fi
    wanted="$wanted $h_name"
    if cached "$h_name"; then
      touch "$cache/.$h_name.ok" 2>/dev/null
      say have "$h_name"
      continue
    fi
    size=0
    [ -f "$cache/.$h_name.part" ] && size_of "$cache/.$h_name.part"
    say part "$h_name $size"
    minus "$h_size" "$size"
    plus "$h_missing" "$n"
    h_missing=$n
  done
  # a host that finds no file of its size here need not know the md5 before it begins to send; small ones it hashes
  # shellcheck disable=SC2012 # only sizes are taken
  ls -ln "$cache" | sed -n 's/^-[^ ]* *[^ ]* *[^ ]* *[^ ]* *\([0-9]\{8,\}\) .*/size=\1/p'
  [ "$h_missing" = 0 ] || make_room "$h_missing" "$1"
  free_bytes
  say free_bytes "$free"
  plus "$h_missing" "$reserve"
  if [ "$h_missing" != 0 ] && [ -n "$free" ] && below "$free" "$n"; then
    fail no_space "$h_missing bytes are to come, $free are free in $cache, and $reserve stay free for the system"
  fi
  echo end=1
}

lock_take() { # folder owner: 0 when it is ours now. A dead holder's lock is taken over, and one's own.
  boot_id
  l_tries=0
  while ! mkdir "$1" 2>/dev/null; do
    l_pid='' l_boot='' l_owner=''
    [ -r "$1/who" ] && read -r l_pid l_boot l_owner <"$1/who"
    if [ -n "$l_pid" ] && [ "$l_boot" = "$boot" ] && runs_agent "$l_pid"; then
      [ "$l_owner" = "$2" ] || return 1
      kill "$l_pid" 2>/dev/null # our own earlier push over a link that froze
      nap
    fi
    l_tries=$((l_tries + 1))
    [ "$l_tries" -lt 30 ] || return 1
    if [ -n "$l_pid" ] || [ "$l_tries" -gt 10 ]; then
      unguessable
      mv "$1" "$1.old.$tag" 2>/dev/null && rm -rf "$1.old.$tag" # rename is atomic: only one takes it over
    else
      nap
    fi
  done
  l_mine=1
  echo "$$ $boot $2" >"$1/who"
}

runs_agent() { # is process $1 an agent, and not a zombie or another process with its number
  q_line=$(tr '\0' ' ' <"$proc/$1/cmdline") || return 1
  case $q_line in *"${0##*/}"*) return 0 ;; esac
  return 1
} 2>/dev/null

nap() {
  sleep 0.1 2>/dev/null || sleep 1
}

receive() { # stdin to the end of $p_part; with "yes" its md5 is taken meanwhile, into $p_sum
  p_sum=''
  rm -f "$p_part.lock/growing" "$p_part.sum"
  [ "$1" != yes ] || true >"$p_part.lock/growing"
  exec 3<&0
  cat <&3 >>"$p_part" 2>/dev/null &
  p_cat=$!
  exec 3<&-
  p_hash=''
  if [ -e "$p_part.lock/growing" ]; then
    { if command -v python3 >&2; then follow_whole; else follow | md5sum; fi >"$p_part.lock/sum"; } 2>/dev/null >&2 &
    p_hash=$!
  fi
  wait "$p_cat"
  p_code=$?
  [ -n "$p_hash" ] || return "$p_code"
  rm -f "$p_part.lock/growing"
  wait "$p_hash"
  read -r p_sum _ <"$p_part.lock/sum" || p_sum='' # the disk was full: the file is read once more
  return "$p_code"
} 2>/dev/null

follow() { # $p_part from its first byte on, while it grows. A `tee` would do it too, but moves 1 to 8 KiB at a time.
  while [ -e "$p_part.lock/growing" ]; do
    cat # each goes on where the one before came to the end
    kill -0 $$ || return # the agent itself was killed
    sleep 0.02 || sleep 1
  done
  cat
} <"$p_part"

follow_whole() { # the md5 of the same, without a pipe: a third less CPU beside a push that needs all of it
  exec python3 -E -S -c '
import hashlib, os, sys, time
digest, room, agent, growing = hashlib.md5(), bytearray(1 << 18), os.getppid(), True
while growing:
    growing = os.path.exists(sys.argv[1]) and os.getppid() == agent
    size = sys.stdin.buffer.raw.readinto(room)
    while size:
        digest.update(memoryview(room)[:size])
        size = sys.stdin.buffer.raw.readinto(room)
    if growing:
        time.sleep(0.02)
print(digest.hexdigest())
' "$p_part.lock/growing"
} <"$p_part"

do_put() { # name size offset end owner [later]; stdin: the bytes from offset to end. `later`: adopt will check them
  check_lease
  if ! { cache_name "${1-}" && number "${2-}" && number "${3-}" && number "${4-}" && hex "${5-}"; }; then
    fail usage "put NAME SIZE OFFSET END OWNER"
  fi
  p_part=$cache/.$1.part
  p_cat='' l_mine=''
  trap '[ -z "$l_mine" ] || rm -rf "$p_part.lock"' EXIT
  # A shell that waits for `cat` in the foreground would not hear the signal. PIPE: nobody is left to hear the answer, or
  # what the trap itself may have to say.
  trap 'trap "" HUP INT TERM PIPE; [ -z "$p_cat" ] || { kill "$p_cat"; wait "$p_cat"; } 2>/dev/null; exit 1' HUP INT TERM PIPE
  lock_take "$p_part.lock" "$5" || fail busy "another host is pushing $1"
  if cached "$1" >/dev/null; then # another host brought it since `have` was answered
    say stored "$1"
    echo end=1
    return
  fi
  if [ "$3" = 0 ]; then
    true >"$p_part" || fail cannot_write "$p_part"
  fi
  size_of "$p_part"
  [ "$size" = "$3" ] || fail offset "$size"
  p_beside=no
  minus "$4" "$3"
  if [ "$4" = "$2" ] && ! below "$n" "$worth_hashing"; then p_beside=yes; fi
  receive "$p_beside" || {
    rm -f "$p_part"
    free_bytes
    fail no_space "the board's disk is full or cannot be written; $free bytes are free in $cache"
  }
  size_of "$p_part"
  ! below "$size" "$2" || fail partial "$size"
  if [ "${6-}" = later ] && [ "$size" = "$2" ]; then
    [ -z "$p_sum" ] || echo "$boot $size $p_sum" >"$p_part.sum"
    l_mine=''
    rm -rf "$p_part.lock" # before the answer: what comes next would find it held
    say received "$size"
  else
    store "$p_part" "$1" "$2" "$p_sum"
  fi
  echo end=1
}

do_adopt() { # part-name name size owner: what was received under a passing name is stored under its md5
  check_lease
  if ! { cache_name "${1-}" && number "${3-}" && hex "${4-}" && cache_name "${2-}"; }; then
    fail usage "adopt PART NAME SIZE OWNER"
  fi
  p_part=$cache/.$1.part
  l_mine=''
  trap '[ -z "$l_mine" ] || rm -rf "$p_part.lock"' EXIT
  trap 'trap "" HUP INT TERM PIPE; exit 1' HUP INT TERM PIPE
  lock_take "$p_part.lock" "$4" || fail busy "another host is pushing $1"
  size_of "$p_part"
  p_boot='' p_size='' p_sum=''
  [ ! -r "$p_part.sum" ] || read -r p_boot p_size p_sum <"$p_part.sum"
  [ "$p_boot $p_size" = "$boot $size" ] || p_sum='' # a power cut may have taken what was hashed
  rm -f "$p_part.sum"
  store "$p_part" "$2" "$3" "$p_sum"
  echo end=1
}

store() { # part name size-it-must-have md5-if-known: check, then rename; $n_md5 and $size are set
  p_sum=$4
  [ "$p_sum" = "$n_md5" ] || p_sum=$(md5sum <"$1") # what was hashed beside the writing is only believed when it is right
  if [ "$size" != "$3" ] || [ "${p_sum%% *}" != "$n_md5" ]; then
    rm -f "$1"
    fail damaged "${p_sum%% *}"
  fi
  # No sync: after a power cut the boot id differs, and what is here is then checked by md5 before it is used.
  # two hosts may store the same file at the same moment: one of them finds its part gone, and the file there
  mv -f "$1" "$cache/$2" 2>/dev/null || [ -f "$cache/$2" ] || fail cannot_write "$cache/$2"
  chmod a-w "$cache/$2"
  stamp_of "$cache/$2"
  echo "$boot $stamp" >"$cache/.$2.ok"
  say stored "$2"
}

# ------------------------------------------------------------------ runs

do_folder() { # escaped name: a fresh folder under runs/
  check_lease
  unescape "${1-}"
  case $u in '' | . | .. | */*) fail usage "folder NAME" ;; esac
  mkdir -p "$work/runs/$u" 2>/dev/null || fail cannot_write "$work/runs/$u"
  [ -w "$work/runs/$u" ] || fail cannot_write "$work/runs/$u"
  say folder "$work/runs/$u"
  echo end=1
}

job_value() { # key -> $u: the value in the job file, "" when it has none
  u=
  while IFS= read -r j_line; do
    case $j_line in "$1="*) unescape "${j_line#"$1"=}"; return ;; esac
  done <"$job/job"
}

do_start() { # token; stdin: the job. Starting a token twice starts it once.
  check_lease
  hex "${1-}" || fail usage "start TOKEN"
  job=$work/jobs/$1
  mkdir -p "$work/jobs" 2>/dev/null || fail cannot_write "$work/jobs"
  free_bytes
  if [ -n "$free" ] && below "$free" 65536; then # nobody could say how such a run ended
    fail no_space "$free bytes are free in $work, a run needs 65536 for its own state"
  fi
  cat >"$work/jobs/.$1.$$" || { rm -f "$work/jobs/.$1.$$"; fail no_space "$work/jobs"; }
  if [ "$(tail -n 1 "$work/jobs/.$1.$$")" != end=1 ]; then
    rm -f "$work/jobs/.$1.$$"
    fail incomplete "the job description was cut short"
  fi
  if mkdir "$job" 2>/dev/null; then
    mv "$work/jobs/.$1.$$" "$job/job" || fail no_space "$job"
    job_value folder
    new_folder || { rm -rf "$job"; fail "$refused" "$u"; }
    boot_id
    uptime_cs
    echo "$boot $cs" >"$job/started"
    [ -z "$lease" ] || echo "$lease" >"$job/lease"
    [ -s "$job/started" ] || { rm -rf "$job"; fail no_space "$job"; }
    mkfifo "$job/done" 2>/dev/null
    # shellcheck disable=SC2086 # shell may be two words: busybox ash
    (trap '' HUP; exec $detached $shell "$0" "work=$work" "shell=$shell" supervise "$1") \
      </dev/null >/dev/null 2>>"$job/agent.log" &
    say started 1
  else
    rm -f "$work/jobs/.$1.$$"
    say started 0
  fi
  say token "$1"
  echo end=1
}

new_folder() { # $u: made now, for the files of one run; another one's leftovers would be taken for its. Else $refused
  mkdir -p "${u%/*}" 2>/dev/null
  [ "${u%/*}" != "$work/runs" ] || rmdir "$u" 2>/dev/null # `folder` made it, and nothing is in it
  refused=folder_exists
  if mkdir "$u" 2>/dev/null; then return; fi
  if [ ! -e "$u" ] && [ ! -L "$u" ]; then refused=cannot_write; fi
  return 1
}

supervise() { # token: runs the tool, ends it at its time limit, and writes down how it ended
  job=$work/jobs/$1
  token=$1
  # Whole at every moment: a poll that reads a half-written number would call the run lost.
  echo $$ >"$job/.pid" && mv -f "$job/.pid" "$job/pid"
  # Whoever reads the pipe `done` is woken when this process ends, however it ends: nobody else may hold it open.
  [ -p "$job/done" ] && exec 9<>"$job/done"
  # Room to write the result on a disk that the tool has filled.
  dd if=/dev/zero of="$job/reserve" bs=4096 count=4 2>/dev/null
  read -r _ started_cs <"$job/started"
  job_value folder
  folder=$u
  job_value timeout_s
  timeout_s=$u
  job_value log_limit_bytes
  log_limit=$u
  job_value sense_s
  sense_s=$u
  if cd "$folder"; then
    uptime_cs
    tool_cs=$cs
    # shellcheck disable=SC2086
    $detached $shell "$0" "work=$work" child "$token" </dev/null >log.txt 2>&1 9>&- &
    tool=$!
    echo "$tool" >"$job/tool"
    (exec 9>&-; watch) &
    watcher=$!
    sampler=
    if number "$sense_s" && [ "$sense_s" -gt 0 ]; then
      (exec 9>&- </dev/null >"$job/sense.txt" 2>/dev/null; sample "$sense_s" 0) &
      sampler=$!
    fi
    wait "$tool"
    code=$?
    uptime_cs
    # shellcheck disable=SC2086
    kill $watcher $sampler 2>/dev/null
    end_group
    [ ! -e "$job/why" ] || sweep_marked "$token"
  else
    code=126
    uptime_cs
  fi
  word='done'
  [ -r "$job/why" ] && read -r word <"$job/why"
  rm -f "$job/reserve"
  minus "$cs" "${tool_cs:-$cs}"
  echo "$word $code $n" >"$job/.end" && mv -f "$job/.end" "$job/end"
} 2>/dev/null

do_child() { # token: becomes the tool, inside its own session
  job=$work/jobs/$1
  set --
  LC_ALL=$original_lc_all
  [ -n "$LC_ALL" ] || unset LC_ALL
  while IFS= read -r j_line; do
    case $j_line in
      arg=*) unescape "${j_line#arg=}"; set -- "$@" "$u" ;;
      env=*) unescape "${j_line#env=}"; export "${u?}" ;;
    esac
  done <"$job/job"
  [ -z "${HARNESS_PATH-}" ] || export PATH="$HARNESS_PATH:$PATH"
  [ -z "${HARNESS_LIBRARIES-}" ] || export LD_LIBRARY_PATH="$HARNESS_LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  export HARNESS_RUN="${job##*/}"
  exec "$@"
}

watch() { # the watchdog: wakes seldom, so that it does not disturb a measurement
  while :; do
    since "$started_cs"
    parts "$n"
    w_left=$((timeout_s - high * 10000 - low / 100))
    if [ "$w_left" -le 0 ]; then
      echo timeout >"$job/why"
      end_tool
      return
    fi
    [ "$w_left" -lt 5 ] || w_left=5
    sleep "$w_left" &
    w_sleep=$!
    trap 'kill $w_sleep; exit' TERM
    wait $w_sleep
    size_of "$folder/log.txt"
    if number "$log_limit" && below "$log_limit" "$size"; then
      echo log_limit >"$job/why"
      end_tool
      return
    fi
  done
}

end_group() { # what the tool left of its process group
  if [ -n "$detached" ]; then kill -9 "-$tool"; fi
} 2>/dev/null

end_tool() { # asks, waits two seconds, then does not ask; children that left the group are found by their mark
  if [ -n "$detached" ]; then kill -TERM "-$tool"; else kill -TERM "$tool"; fi
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$tool" || break
    sleep 0.2 || sleep 1
  done
  if [ -n "$detached" ]; then kill -9 "-$tool"; else kill -9 "$tool"; fi
  sweep_marked "${job##*/}"
} 2>/dev/null

marks() { # NUMBER=TOKEN of each process with HARNESS_RUN=TOKEN in its environment, and NUMBER=own of this shell. A shell
  # reads by single bytes: with hundreds of processes on a board that took seconds of CPU, and this hundredths.
  printf '%s\0' "$proc"/[0-9]*/environ | xargs -0 tail -c +1 /dev/null | tr '\0' '\n' | sed -n \
    -e "/^==> .*\/[0-9]*\/environ <==\$/{s/^.*\/\([0-9]*\)\/environ.*/\1/;h;/^$$\$/s/\$/=own/p;}" \
    -e '/^HARNESS_RUN=[0-9a-f]*$/{G;s/^HARNESS_RUN=\(.*\)\n\(.*\)$/\2=\1/p;}'
} 2>/dev/null

sweep_marked() { # tokens: kill every process whose environment carries HARNESS_RUN=one of them
  for _ in 1 2 3; do
    s_found='' s_own=''
    for s_pair in $(marks); do
      case $s_pair in "$$=own") s_own=1 ;; "$$="*) continue ;; esac
      for s_token in "$@"; do
        [ "${s_pair#*=}" != "$s_token" ] || s_found="$s_found ${s_pair%%=*}"
      done
    done
    for s_dir in "$proc"/[0-9]*; do # where a board's programs do not do that: byte by byte
      [ -z "$s_own" ] || break
      [ "${s_dir##*/}" != "$$" ] || continue
      while s_line= && IFS= read -r s_line || [ -n "$s_line" ]; do # emptied: mksh leaves it as it is where reading fails
        for s_token in "$@"; do
          case $s_line in *"HARNESS_RUN=$s_token"*) s_found="$s_found ${s_dir##*/}" ;; esac
        done
      done <"$s_dir/environ"
    done
    [ -n "$s_found" ] || return 0
    # shellcheck disable=SC2086
    kill -9 $s_found
    nap
  done
} 2>/dev/null

supervised() { # is the supervisor of $job alive (and not another process with its number), or about to begin
  if [ ! -e "$job/pid" ]; then
    read -r v_boot v_cs <"$job/started" || return 1
    boot_id
    since "$v_cs"
    [ "$v_boot" = "$boot" ] && below "$n" 3000
    return
  fi
  read -r v_pid <"$job/pid" || return 1
  while v_line= && IFS= read -r v_line || [ -n "$v_line" ]; do # no process is started: this is asked at every look
    case $v_line in *"${job##*/}"*) return 0 ;; esac
  done <"$proc/$v_pid/cmdline"
  return 1
} 2>/dev/null

read_end() { # -> $p_word $p_code $p_cs: how $job ended, where it did
  p_word=''
  [ -s "$job/end" ] && read -r p_word p_code p_cs <"$job/end"
  [ -n "$p_word" ]
} 2>/dev/null

do_poll() { # token [seconds to wait for the end]
  hex "${1-}" || fail usage "poll TOKEN"
  job=$work/jobs/$1
  [ -d "$job" ] || fail no_such_run "$1"
  if [ ! -e "$job/end" ] && number "${2-}" && [ "$2" -gt 0 ] && supervised; then
    if [ -p "$job/done" ]; then await_end "$2"; else sleep 1; fi
  fi
  boot_id
  s_boot='' s_cs=0
  read -r s_boot s_cs <"$job/started" 2>/dev/null
  if [ "$s_boot" != "$boot" ]; then # ended or not: a power cut may have emptied what it left
    say state rebooted
  elif read_end; then
    say state "$p_word"
    say code "$p_code"
    say elapsed_cs "$p_cs"
  elif supervised; then
    since "$s_cs"
    say state running
    say elapsed_cs "$n"
  elif read_end; then # it ended between the two looks
    do_poll "$1"
    return
  elif nap; supervised || read_end; then # a second look, before a run is called lost
    do_poll "$1"
    return
  else
    say state lost
  fi
  job_value folder
  size=0
  [ ! -f "$u/log.txt" ] || size_of "$u/log.txt"
  say log_bytes "$size"
  say boot "$boot"
  echo end=1
}

await_end() { # seconds: sleeps until the run ends or the time is over, without waking the board in between
  cat <"$job/done" >/dev/null 2>&1 &
  a_cat=$!
  (sleep "$1" & a_nap=$!; trap 'kill $a_nap; exit' TERM; wait $a_nap; kill $a_cat) >/dev/null 2>&1 &
  a_timer=$!
  wait $a_cat
  kill $a_timer
} 2>/dev/null

do_stop() { # token: end the run, if it is running
  check_lease
  hex "${1-}" || fail usage "stop TOKEN"
  job=$work/jobs/$1
  [ -d "$job" ] || fail no_such_run "$1"
  stop_job
  say stopped "$1"
  echo end=1
}

stop_job() {
  [ ! -e "$job/end" ] && supervised || return 0
  echo stopped >"$job/why"
  tool='' t_tries=0
  while [ ! -s "$job/tool" ] && [ ! -e "$job/end" ] && [ "$t_tries" -lt 50 ]; do # it is only just starting
    nap
    t_tries=$((t_tries + 1))
  done
  read -r tool <"$job/tool"
  if [ -n "$tool" ] && [ ! -e "$job/end" ]; then end_tool; fi
  t_tries=0
  while [ ! -e "$job/end" ] && [ "$t_tries" -lt 50 ]; do
    nap
    t_tries=$((t_tries + 1))
  done
} 2>/dev/null

inside_runs() { # is $1 a folder under runs/, without tricks
  case $1 in */../* | */.. | */./* | *//*) return 1 ;; esac
  case $1 in "$work"/runs/?*) return 0 ;; esac
  return 1
}

torn() { # did a power cut take what $job was about, so that no folder claims it any more
  [ -d "$job" ] && [ ! -s "$job/job" ] || return 1
  t_boot=''
  read -r t_boot _ <"$job/started"
  [ "$t_boot" != "$boot" ]
} 2>/dev/null

do_remove() { # escaped folder: ends its runs, then deletes it and their state
  check_lease
  unescape "${1-}"
  r_folder=$u
  inside_runs "$r_folder" || fail usage "remove: $r_folder is not under $work/runs"
  set --
  boot_id
  for job in "$work"/jobs/*; do
    if torn; then rm -rf "$job"; fi
    [ -f "$job/job" ] || continue
    job_value folder
    case $u/ in
      "$r_folder"/*) stop_job; set -- "$@" "${job##*/}" ;;
    esac
  done
  if [ $# -gt 0 ]; then sweep_marked "$@"; fi
  chmod -R u+w "$r_folder" 2>/dev/null
  rm -rf "$r_folder" 2>/dev/null
  for r_token in "$@"; do rm -rf "$work/jobs/$r_token"; done
  [ ! -e "$r_folder" ] || fail cannot_write "$r_folder"
  say removed "$#"
  echo end=1
}

# ------------------------------------------------------------------ files

# Names of these characters go through md5sum and ls by thousands; all others one by one, escaped.
plain='A-Za-z0-9._/@%+,=:~^-'

go() { # escaped folder: be there
  unescape "${1-}"
  cd "$u" 2>/dev/null || fail no_such_folder "$u"
}

do_hash() { # escaped folder [gzip]: every regular file with size and md5; compressed where the board can
  go "${1-}"
  if [ "${2-}" = gzip ] && command -v gzip >/dev/null 2>&1; then hash_all | gzip -c; else hash_all; fi
}

hash_all() {
  echo section=size
  find . -type f ! -path "*[!$plain]*" -print0 | xargs -0 ls -lnd -- /dev/null 2>/dev/null |
    sed -n 's/^-[^ ]* *[^ ]* *[^ ]* *[^ ]* *\([0-9]*\) .* \.\//\1 /p'
  echo section=md5
  find . -type f ! -path "*[!$plain]*" -print0 | xargs -0 md5sum -- /dev/null 2>/dev/null
  echo section=odd
  # shellcheck disable=SC2086
  find . -type f -path "*[!$plain]*" -exec $shell "$0" odd {} +
  echo end=1
}

do_odd() { # files of any name: "size md5 escaped-name" each
  for o_file in "$@"; do
    size_of "$o_file"
    o_sum=$(md5sum <"$o_file") || continue
    printf '%s %s ' "$size" "${o_sum%% *}"
    escape "$o_file"
    echo
  done
}

do_valid() { # escaped folder, escaped path of agents/valid_md5.py; stdin: its jobs, which it answers. Needs python3
  unescape "${2-}"
  v_script=$u
  [ -f "$v_script" ] || fail usage "valid FOLDER SCRIPT"
  go "${1-}"
  PATH=${HARNESS_PATH:+$HARNESS_PATH:}$PATH
  command -v python3 >/dev/null 2>&1 || fail no_python "$PATH"
  python3 -I -S -B "$v_script"
  say code "$?"
  echo end=1
}

do_pack() { # escaped folder [gzip]; stdin: NUL-separated names with ./ in front. Tar archives, one or more in a row.
  go "${1-}"
  # GNU tar takes a backslash in a name for an escape unless told not to; others do not know the option
  a_plain=''
  if tar --no-unquote -cf /dev/null /dev/null 2>/dev/null; then a_plain=--no-unquote; fi
  # shellcheck disable=SC2086
  if [ "${2-}" = gzip ]; then xargs -0 tar $a_plain -cf - | gzip -1 -c; else exec xargs -0 tar $a_plain -cf -; fi
}

# ------------------------------------------------------------------ sensing

reading() { # label file: prints " label=number" when the file holds a whole number; no process is started
  m_value=
  read -r m_value <"$2" || [ -n "$m_value" ] || return 0
  case $m_value in '' | *[!0-9-]*) return 0 ;; esac
  printf ' %s=%s' "$1" "$m_value"
} 2>/dev/null

sense_line() { # one sample: temperatures in millidegrees, frequencies in kHz (cpu) and Hz (others), loads
  uptime_cs
  printf 'cs=%s' "$cs"
  for m_zone in "$sysfs"/class/thermal/thermal_zone*; do
    m_type=
    [ ! -r "$m_zone/type" ] || read -r m_type <"$m_zone/type"
    reading "temp:$(label "${m_type:-zone}"):${m_zone##*zone}" "$m_zone/temp"
  done
  for m_file in "$sysfs"/class/hwmon/hwmon*/temp*_input; do
    m_dir=${m_file%/*}
    m_name=${m_file##*/}
    reading "temp:${m_dir##*/}:${m_name%_input}" "$m_file"
  done
  for m_dir in "$sysfs"/devices/system/cpu/cpufreq/policy*; do
    reading "cpu_khz:${m_dir##*/policy}" "$m_dir/scaling_cur_freq"
  done
  for m_dir in "$sysfs"/class/devfreq/*; do
    reading "devfreq_hz:$(label "${m_dir##*/}")" "$m_dir/cur_freq"
  done
  for m_dir in "$sysfs"/devices/system/bpu/bpu[0-9]*; do
    reading "npu_load:${m_dir##*/bpu}" "$m_dir/ratio"
    for m_file in "$m_dir"/devfreq/*/cur_freq; do reading "npu_hz:${m_dir##*/bpu}" "$m_file"; done
  done
  if read -r m_value _ <"$proc/loadavg"; then printf ' load1=%s' "$m_value"; fi
  while read -r m_key m_value _; do
    case $m_key in MemAvailable:) printf ' memory_available_kb=%s' "$m_value"; break ;; esac
  done <"$proc/meminfo"
  echo ' whole=1' # a sampler is ended at any moment; half a sample is none
} 2>/dev/null

label() { # a name of the kernel as a label without blanks and signs; the common case starts no process
  case $1 in
    *[!A-Za-z0-9_.-]*) printf '%s' "$1" | tr -c 'A-Za-z0-9_.-' _ ;;
    *) printf '%s' "$1" ;;
  esac
}

sample() { # interval_s count (0: without end)
  m_count=0
  while :; do
    sense_line
    m_count=$((m_count + 1))
    [ "$m_count" -ne "$2" ] || return 0
    sleep "$1" &
    m_sleep=$!
    trap 'kill $m_sleep; exit' TERM
    wait $m_sleep
  done
}

do_sense() { # [interval_s count]
  if ! number "${1:-1}" || ! number "${2:-1}"; then fail usage "sense [INTERVAL COUNT]"; fi
  sample "${1:-1}" "${2:-1}"
  echo end=1
}

clock() { # name governor-file max-file unit: what one clock is allowed
  c_word='' c_max=''
  read -r c_word <"$2"
  read -r c_max <"$3"
  [ -z "$c_word" ] || say governor "$1 $c_word"
  if number "$c_max"; then say "max_$4" "$1 $c_max"; fi
} 2>/dev/null

do_clocks() { # governors and highest frequencies: is the board set up for a measurement?
  for c_dir in "$sysfs"/devices/system/cpu/cpufreq/policy*; do
    clock "${c_dir##*/}" "$c_dir/scaling_governor" "$c_dir/cpuinfo_max_freq" khz
  done
  for c_dir in "$sysfs"/devices/system/bpu/bpu[0-9]*; do
    for c_file in "$c_dir"/devfreq/*/governor; do
      clock "npu${c_dir##*/bpu}" "$c_file" "${c_file%governor}max_freq" hz
    done
  done
  echo end=1
}

do_samples() { # token: what was sampled during a run
  hex "${1-}" || fail usage "samples TOKEN"
  [ -d "$work/jobs/$1" ] || fail no_such_run "$1"
  [ ! -r "$work/jobs/$1/sense.txt" ] || cat "$work/jobs/$1/sense.txt"
  echo end=1
}

# ------------------------------------------------------------------ leases

# lease/N holds lease number N: "boot until_cs nonce first taken_cs owner". Taking and renewing both create N+1, by a
# hard link, which only one of any number of rivals can do. Time is the board's own since boot, so no clock matters,
# and a reboot ends every lease. Numbers first..N with the nonce are one holder's.
#
# Old files are deleted, so a rival that is stopped between looking and linking may link a number that is free again.
# Therefore everybody looks again afterwards, and is the holder only where the highest number is its own; the highest
# number is never deleted (lease/after-N, an empty folder, stands for it once its file is), so none is given twice; and
# whoever takes the board ends only what came under a lower number than its own.

lease_top() { # -> $top: the highest number given so far
  top=0
  for l_file in "$work"/lease/[0-9]* "$work"/lease/after-[0-9]*; do
    l_number=${l_file##*/}
    l_number=${l_number#after-}
    if number "$l_number" && [ "$l_number" -gt "$top" ]; then top=$l_number; fi
  done
}

lease_look() { # -> $top, and what lease $top says; $live is 1 while it holds
  l_seen=-1
  while lease_top; [ "$top" != "$l_seen" ]; do # what was read is the highest only if it still is afterwards
    l_seen=$top
    l_boot='' l_until=0 l_nonce='' l_first=0 l_taken=0 l_owner='' live=0
    read -r l_boot l_until l_nonce l_first l_taken l_owner <"$work/lease/$top"
  done
  boot_id
  uptime_cs
  if [ "$l_boot" = "$boot" ] && number "$l_until" && below "$cs" "$l_until"; then live=1; fi
} 2>/dev/null

lease_write() { # seconds nonce first taken owner: create lease $top + 1; fails where another was quicker
  if ! number "$1" || ! hex "$2"; then fail usage lease; fi
  unguessable # a file that was left under this name may be somebody's lease by now
  l_own=$((top + 1)) l_new=$work/lease/.$tag.new
  mkdir -p "$work/lease" 2>/dev/null || fail cannot_write "$work/lease"
  boot_id
  uptime_cs
  n=0
  [ "$1" = 0 ] || plus "$cs" "${1}00"
  echo "$boot $n $2 $3 $4 $5" >"$l_new"
  [ -s "$l_new" ] || { rm -f "$l_new"; fail no_space "$work/lease"; }
  l_linked=0
  if ln "$l_new" "$work/lease/$l_own" 2>/dev/null; then l_linked=1; fi
  rm -f "$l_new"
  lease_look
  if [ "$top" -ne "$l_own" ] && [ "$l_linked" -eq 1 ]; then rm -f "$work/lease/$l_own"; fi # it was free again
  [ "$top" -ge "$l_own" ] || fail cannot_write "$work/lease (hard links)"
  [ "$l_nonce" = "$2" ] || return 1
  for l_file in "$work"/lease/[0-9]*; do
    if [ "${l_file##*/}" -lt $((top - 3)) ]; then rm -f "$l_file"; fi
  done
  for l_file in "$work"/lease/after-[0-9]*; do
    if [ -d "$l_file" ] && [ "${l_file##*-}" -lt "$top" ]; then rmdir "$l_file"; fi
  done
  return 0
}

lease_say() { # the token of the lease that was just looked at
  say lease "$top.$l_nonce"
  say boot "$boot"
  echo end=1
}

lease_take() { # owner seconds nonce: until it is ours, or another's
  if ! number "$2" || [ "$2" = 0 ] || ! hex "$3"; then fail usage lease; fi
  lease_look
  until [ "$live" -eq 1 ] && [ "$l_nonce" = "$3" ]; do # or: the answer to our own earlier question was lost
    [ "$live" -eq 0 ] || lease_refuse
    runs_without_lease
    lease_write "$2" "$3" $((top + 1)) "$cs" "$1" || lease_look
  done
  end_strangers "$3" "$l_first"
}

lease_refuse() {
  unescape "$l_owner"
  since "$l_taken"
  parts "$n"
  l_age=$((high * 10000 + low / 100))
  minus "$l_until" "$cs"
  fail leased "held by $u since $l_age s, for at most $((n / 100)) s more"
}

lease_mine() { # is lease=N.nonce the holder's
  [ "${lease#*.}" = "$l_nonce" ] && [ -n "$l_nonce" ] && number "${lease%%.*}" && [ "${lease%%.*}" -ge "$l_first" ] &&
    [ "${lease%%.*}" -le "$top" ] && [ "$l_boot" = "$boot" ] && [ "$l_until" != 0 ] && number "$l_until"
} 2>/dev/null

same_boot() { # was the lease taken in this boot? Asked first: a power cut may have taken or emptied any file
  [ -n "$lease_boot" ] || return 0
  boot_id
  [ "$boot" = unknown ] || [ "$boot" = "$lease_boot" ] || fail rebooted "$boot"
}

check_lease() { # before every verb that changes something, and before every other one that comes with a lease
  same_boot
  lease_look
  if [ -z "$lease" ]; then
    [ "$live" -eq 0 ] || lease_refuse
  elif [ "$l_boot" != "$boot" ] && [ "${lease#*.}" = "$l_nonce" ]; then
    fail rebooted "$boot"
  elif [ "$top" -eq 0 ]; then
    fail stale_lease "the board knows of no lease: its disk was emptied"
  elif ! lease_mine; then
    fail stale_lease "$lease is not the lease of this board any more; the last is $top"
  fi
}

do_guard() { # argv: a command of the inventory, for the board's holder alone; 97 and a refusal for anybody else
  (check_lease) || exit 97
  LC_ALL=$original_lc_all
  [ -n "$LC_ALL" ] || unset LC_ALL
  "$@" # not exec: whoever takes the board next finds it by this shell's command line
}

do_lease() { # take OWNER SECONDS NONCE | renew SECONDS | release | break | check | show
  case ${1-} in
    check)
      check_lease
      say boot "$boot"
      ;;
    take)
      lease_take "${2:-nobody}" "${3-}" "${4-}"
      lease_say
      return
      ;;
    renew) # one that has ended, too, where nobody followed: the link was away for longer than the lease
      same_boot
      lease_look
      if ! lease_mine || ! lease_write "${2-}" "$l_nonce" "$l_first" "$l_taken" "$l_owner" || [ "$live" -ne 1 ]; then
        fail stale_lease "$lease has ended; the last is $top"
      fi
      lease_say
      return
      ;;
    release)
      same_boot
      lease_look
      if [ "$live" -ne 1 ] || ! lease_mine || ! lease_write 0 "$l_nonce" "$l_first" "$l_taken" "$l_owner"; then
        fail stale_lease "$lease has ended; the last is $top"
      fi
      ;;
    break) # somebody who knows better ends it: the holder's later calls are refused
      lease_look
      lease_write 0 0 $((top + 1)) "$cs" nobody || lease_refuse
      ;;
    show)
      lease_look
      say top "$top"
      say live "$live"
      [ "$live" -eq 0 ] || lease_show
      ;;
    *) fail usage lease ;;
  esac
  echo end=1
}

lease_show() {
  since "$l_taken"
  say age_cs "$n"
  minus "$l_until" "$cs"
  say left_cs "$n"
  unescape "$l_owner"
  say holder "$u"
}

runs_without_lease() { # somebody who took no lease is at work: do not lease the board away from under him
  for job in "$work"/jobs/*; do
    if [ -f "$job/job" ] && [ ! -e "$job/end" ] && [ ! -s "$job/lease" ] && supervised; then
      fail leased "a run without a lease is going on (${job##*/})"
    fi
  done
}

end_strangers() { # nonce first: end the runs that earlier holders left, and what their hosts are still asking of this board
  end_calls "$1" "$2"
  for job in "$work"/jobs/*; do
    if [ -f "$job/job" ] && [ ! -e "$job/end" ] && [ -s "$job/lease" ]; then
      l_token=
      read -r l_token <"$job/lease"
      if earlier "$l_token" "$1" "$2"; then stop_job; fi
    fi
  done
}

earlier() { # token nonce first: is it another holder's, of before lease number `first`
  [ "${1#*.}" != "$2" ] && number "${1%%.*}" && [ "${1%%.*}" -lt "$3" ]
}

end_calls() { # nonce first: end pushes, pulls and commands under an earlier lease: their host may only have been asleep
  for s_signal in TERM KILL; do
    s_found=
    for s_dir in "$proc"/[0-9]*; do
      s_pid=${s_dir##*/}
      case $s_pid in "$$" | "$PPID") continue ;; esac
      while s_line= && IFS= read -r s_line || [ -n "$s_line" ]; do # emptied: mksh leaves it as it is where reading fails
        case $s_line in
          *"work=$work"*lease=[0-9]*."$1"*) ;;
          *"/agent/agent-"*.sh*"work=$work"*lease=[0-9]*)
            s_line=${s_line#*"work=$work"*lease=}
            if earlier "$s_line" "$1" "$2"; then s_found="$s_found $s_pid"; fi
            ;;
        esac
      done <"$s_dir/cmdline"
    done
    [ -n "$s_found" ] || return 0
    for s_pid in $s_found; do kill "-$s_signal" "-$s_pid" || kill "-$s_signal" "$s_pid"; done
    nap
  done
} 2>/dev/null

# ------------------------------------------------------------------ cleaning

do_clean() { # [keep] [last]: delete all that runs, pushes and agents left here; `keep`: not what lies whole in the cache.
  # `last`: the lease under which this is asked ends with it.
  check_lease
  w_keep='' w_last=''
  for w_word in "$@"; do
    case $w_word in keep) w_keep=1 ;; last) w_last=1 ;; *) fail usage "clean [keep] [last]" ;; esac
  done
  boot_id
  still_going
  clean_jobs
  if [ -z "$w_going" ]; then
    clean_runs
    rm -f "$work"/agent/agent-*.sh "$work"/agent/agent-*.part
  fi
  clean_cache
  rm -rf "$work/site.part" "$work/site.old"
  clean_leases
  rmdir "$work/jobs" "$work/runs" "$cache" "$work/agent" 2>/dev/null
  free_bytes
  say cleaned "$w_count"
  for w_word in $w_going; do say going_on "$w_word"; done
  say free_bytes "$free"
  echo end=1
}

still_going() { # -> $w_going, the tokens of the runs that go on
  w_going=''
  for job in "$work"/jobs/*; do
    if [ -d "$job" ] && [ ! -e "$job/end" ] && supervised; then w_going="$w_going ${job##*/}"; fi
  done
}

clean_jobs() { # -> $w_count, how many runs were deleted
  w_count=0
  for job in "$work"/jobs/*; do
    case " $w_going " in *" ${job##*/} "*) continue ;; esac
    [ -d "$job" ] || continue
    job_value folder
    sweep_marked "${job##*/}"
    if inside_runs "$u"; then
      [ -n "$w_going" ] || { u=${u#"$work"/runs/} && u=$work/runs/${u%%/*}; } # what goes on may be beside it
      remove_tree "$u"
    fi
    rm -rf "$job"
    w_count=$((w_count + 1))
  done
  for w_file in "$work"/jobs/.*; do
    if [ -f "$w_file" ]; then rm -f "$w_file"; fi # a description that was never started
  done
} 2>/dev/null

clean_runs() { # folders that no run claims: their host died before it started something there
  for w_file in "$work"/runs/*; do
    case ${w_file##*/} in
      [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9]*Z*) remove_tree "$w_file" ;;
      *) rmdir "$w_file" ;;
    esac
  done
} 2>/dev/null

clean_cache() { # nothing but what has a name of ours: `work:` may be a folder that others use, too
  find "$cache" -type d -name '.[0-9a-f]*.part.lock*' -prune -exec rm -rf {} +
  find "$cache" -type f -name '.[0-9a-f]*.part*' -exec rm -f {} +
  [ -z "$w_keep$w_going" ] || return 0
  w_md5='[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
  w_md5=$w_md5$w_md5$w_md5$w_md5
  find "$cache" -type f \( -name "$w_md5*" -o -name '.[0-9a-f]*.ok' \) -exec rm -f {} +
} 2>/dev/null

remove_tree() {
  chmod -R u+w "$1" 2>/dev/null
  rm -rf "$1" 2>/dev/null
}

clean_leases() { # leases that are over go, and where nobody holds the board the highest number alone stays
  lease_look
  w_top=$((top - 1))
  if [ "$live" -eq 0 ] || [ -n "$w_last" ]; then w_top=$top; fi
  [ "$top" -gt 0 ] || return 0
  if [ "$w_top" -eq "$top" ]; then mkdir "$work/lease/after-$top" 2>/dev/null; fi
  for w_file in "$work"/lease/[0-9]*; do
    if [ "${w_file##*/}" -le "$w_top" ]; then rm -f "$w_file"; fi
  done
  for w_file in "$work"/lease/after-[0-9]*; do
    if [ -d "$w_file" ] && [ "${w_file##*-}" -lt "$top" ]; then rmdir "$w_file"; fi
  done
  rm -f "$work"/lease/.*.new
}

# ------------------------------------------------------------------ the verb

cache=$work/cache
worth_hashing=8388608 # bytes from which an md5 beside the writing saves more than its processes cost
reserve=1048576 # bytes left free for the system when room is made
detached=
if command -v setsid >/dev/null 2>&1; then detached=setsid; fi
verb=${1-}
[ $# -eq 0 ] || shift
case $verb in
  hash | valid | pack | poll | samples | sense | clocks) [ -z "$lease" ] || check_lease ;;
esac
case $verb in
  hello | have | verify | put | adopt | folder | start | poll | stop | remove | hash | odd | valid | pack | sense | samples | clocks | child | lease | guard | clean) "do_$verb" "$@" ;;
  supervise) supervise "$@" ;;
  *) fail unknown_verb "$verb" ;;
esac
