#!/bin/sh
# acme_run MODE MODEL [INPUT]: runs a network of Acme, a text of `layer NAME OP NUMBER`, on bytes. POSIX sh, od and awk.
mode=$1 model=$2 input=$3
[ -r "$model" ] || { echo "acme_run: cannot open $model"; exit 2; }
echo "acme_run 1.2"
awk '$1 == "acme" { print "compiler " $2 } $1 == "input" || $1 == "output" { print $1, $2, $3, $4 }' "$model"
[ "$mode" = info ] && exit 0
od -An -v -tu1 "$input" | awk -v mode="$mode" '
  FNR == NR { if ($1 == "layer") { name[++count] = $2; op[count] = $3; by[count] = $4 } if ($1 == "output") last = $2; next }
  { for (i = 1; i <= NF; i++) value[size++] = $i }
  END {
    for (layer = 1; layer <= count; layer++) {
      text = ""
      for (i = 0; i < size; i++) {
        value[i] = (op[layer] == "add" ? value[i] + by[layer] : value[i] * by[layer]) % 256
        text = text sprintf("\\0%o", value[i])
      }
      if (mode == "debug") print "layer_" layer "_" name[layer] ".bin", text
      if (name[layer] == last) print "output_" last ".bin", text
    }
  }' "$model" - | while read -r file text; do printf '%b' "$text" >"$file"; done
echo "acme_run: done"
