#!/bin/sh
# Checks one board with no PC: runs the model of this folder with the vendor's own tool and holds its outputs against
# those of a run that was good. Made by `harness pack`. One POSIX sh file for dash, bash, mksh and busybox ash.
#
#   sh check.sh
#
# TOOLS=FOLDER  where the vendor's tool lies, if it is not on PATH;  WORK=FOLDER  what `@WORK@` stands for in command.txt
# KEEP=1        leaves the outputs and the tool's log in the folder that is printed
#
# Ends with 0: pass, 1: an output differs, 3: could not be run. Needs md5sum, od, cmp and awk (busybox has all).
set -u
LC_ALL=C
export LC_ALL
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 3
tab=$(printf '\t')

stop() { # could not be checked
  echo "NOT CHECKED: $1" >&2
  exit 3
}

for program in md5sum od cmp awk; do
  command -v "$program" >/dev/null 2>&1 || stop "$program is missing on this board"
done

md5_of() { # $1 -> sum
  sum=$(md5sum <"$1") || stop "$1 cannot be read"
  sum=${sum%% *}
}

# ------------------------------------------------------------------ the package itself

listed=0 complete=''
while IFS=$tab read -r wanted name; do
  [ "$name" = files ] && complete=$wanted && continue
  listed=$((listed + 1))
  [ -f "$here/$name" ] || stop "$name is missing in this package"
  md5_of "$here/$name"
  [ "$sum" = "$wanted" ] || stop "$name is damaged in this package"
done <"$here/files.md5"
[ "$listed" = "$complete" ] || stop "files.md5 is damaged in this package"

# ------------------------------------------------------------------ the tool

place=${TMPDIR:-/tmp}/harness-check.$$
(umask 077 && mkdir "$place") || stop "no folder to work in: $place"
clean_up() {
  [ "${KEEP:-}" = 1 ] || rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 3' HUP INT TERM

replaced() { # $1 with every mark $2 replaced by $3 -> text
  text='' rest=$1
  while :; do
    case $rest in
      *"$2"*)
        text=$text${rest%%"$2"*}$3
        rest=${rest#*"$2"}
        ;;
      *) break ;;
    esac
  done
  text=$text$rest
}

filled() { # $1 -> text, with the folders of this board
  replaced "$1" @PACK@ "$here"
  replaced "$text" @WORK@ "$work"
}

work=${WORK:-}
while IFS=$tab read -r name value; do
  case $name in
    work) work=${WORK:-$value} ;;
    path) PATH=$value:$PATH ;;
    libraries) LD_LIBRARY_PATH=$value${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} && export LD_LIBRARY_PATH ;;
    set)
      filled "${value#*=}"
      export "${value%%=*}=$text"
      ;;
  esac
done <"$here/environment.txt"
PATH=${TOOLS:+$TOOLS:}$PATH
export PATH

set --
while IFS= read -r word; do
  filled "$word"
  set -- "$@" "$text"
done <"$here/command.txt"
command -v "$1" >/dev/null 2>&1 || stop "$1 is not on PATH; TOOLS=FOLDER sh check.sh"
code=0
(cd "$place" && exec "$@") >"$place/log.txt" 2>&1 </dev/null || code=$?
if [ "$code" != 0 ]; then
  tail -n 5 "$place/log.txt" >&2
  stop "$1 ended with code $code"
fi

# ------------------------------------------------------------------ the outputs

relative_l2='
function byte(o) { return substr(o, 1, 1) * 64 + substr(o, 2, 1) * 8 + substr(o, 3, 1) }
function two(n, r, i) { # to the power of n: some awks have neither powers nor roots
  if (n in twos) return twos[n]
  r = 1
  for (i = n; i > 0; i--) r *= 2
  for (i = n; i < 0; i++) r /= 2
  return twos[n] = r
}
function root(x, r, i) {
  if (x <= 0) return 0
  r = x > 1 ? x : 1
  for (i = 0; i < 600; i++) r = (r + x / r) / 2
  return r
}
function real(e, m, top, least, negative) { # exponent, fraction of 0..1, its largest and its bias
  if (e == top) return m > 0 ? "nan" : (negative ? "-inf" : "inf")
  m = e == 0 ? m * two(1 - least) : (1 + m) * two(e - least)
  return negative ? -m : m
}
function value(b, at) {
  if (type == "f16") return real(int(b[at + 1] % 128 / 4), (b[at + 1] % 4 * 256 + b[at]) / 1024, 31, 15, b[at + 1] > 127)
  if (type == "bf16") return real(b[at + 1] % 128 * 2 + int(b[at] / 128), b[at] % 128 / 128, 255, 127, b[at + 1] > 127)
  if (type == "f32")
    return real(b[at + 3] % 128 * 2 + int(b[at + 2] / 128),
      (b[at + 2] % 128 * 65536 + b[at + 1] * 256 + b[at]) / 8388608, 255, 127, b[at + 3] > 127)
  return real(b[at + 7] % 128 * 16 + int(b[at + 6] / 16),
    (((((b[at + 6] % 16 * 256 + b[at + 5]) * 256 + b[at + 4]) * 256 + b[at + 3]) * 256 + b[at + 2]) * 256 \
      + b[at + 1]) / 17592186044416 + b[at] / 4503599627370496, 2047, 1023, b[at + 7] > 127)
}
function bytes_of(line, b, n, i, field) {
  n = split(line, field, " ")
  for (i = 2; i <= n; i++) b[i - 2] = byte(field[i])
  return n - 1
}
BEGIN {
  wide = type == "f64" ? 8 : type == "f32" ? 4 : 2
  while ((getline one <wanted) > 0) {
    if ((getline other <given) <= 0) other = ""
    n = bytes_of(one, w)
    if (one == other) {
      for (i = 0; i + wide <= n; i += wide) { a = value(w, i); if (a != "nan" && a != "inf" && a != "-inf") all += a * a }
      continue
    }
    bytes_of(other, g)
    for (i = 0; i + wide <= n; i += wide) {
      a = value(w, i)
      b = value(g, i)
      if (a == b) { if (a != "nan" && a != "inf" && a != "-inf") all += a * a; continue }
      if (a ~ /n/ || b ~ /n/) { odd++; continue }
      all += a * a
      off += (a - b) * (a - b)
    }
  }
  if (odd) { print "NaN or infinity at " odd " places"; exit 1 }
  if (off == 0) exit 0
  far = root(all > 0 ? off / all : off)
  if (far <= allowed) exit 0
  printf "relative L2 %.3g, allowed %s\n", far, allowed
  exit 1
}'

# shellcheck disable=SC2016 # fields of awk
outside='
NR == FNR { from[NR] = $1; to[NR] = $1 + $2; last = NR; next }
BEGIN { at = 1 }
{
  place = $1 - 1
  while (at <= last && place >= to[at]) at++
  if (at <= last && place >= from[at]) { if (!wrong++) first = place }
}
END { if (wrong) { print wrong " bytes differ, the first at byte " first; exit 1 } }'

outputs=0 wrong=0
while IFS=$tab read -r kind name file size type allowed sum_wanted; do
  outputs=$((outputs + 1)) why=''
  given=$place/$file
  if [ ! -f "$given" ]; then
    why='the tool did not write it'
  elif [ "$(wc -c <"$given" | tr -d ' ')" != "$size" ]; then
    why="$(wc -c <"$given" | tr -d ' ') bytes, expected $size"
  elif [ "$kind" = whole ]; then
    md5_of "$given"
    [ "$sum" = "$sum_wanted" ] || why="other values (md5 $sum, expected $sum_wanted)"
  elif [ "$kind" = float ]; then
    if ! cmp -s "$here/expected/$file" "$given"; then
      od -v -b "$here/expected/$file" >"$place/wanted.od" || stop "od failed"
      od -v -b "$given" >"$place/given.od" || stop "od failed"
      why=$(awk -v wanted="$place/wanted.od" -v given="$place/given.od" -v type="$type" -v allowed="$allowed" \
        "$relative_l2") || why=${why:-it cannot be compared}
    fi
  else
    cmp -l "$here/expected/$file" "$given" >"$place/differing"
    [ $? -le 1 ] || stop "cmp failed"
    why=$(awk "$outside" "$here/expected/$file.valid" "$place/differing") || why=${why:-it cannot be compared}
  fi
  if [ -n "$why" ]; then
    wrong=$((wrong + 1))
    echo "FAIL: output $name: $why"
  fi
done <"$here/outputs.txt"

[ "${KEEP:-}" != 1 ] || echo "kept: $place"
[ "$outputs" != 0 ] || stop "this package lists no output"
if [ "$wrong" != 0 ]; then
  echo "FAIL: $wrong of $outputs outputs differ"
  exit 1
fi
echo "PASS: $outputs outputs"
