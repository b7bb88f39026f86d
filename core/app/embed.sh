#!/bin/sh
# embed.sh NAME FILE: a C source with the bytes of FILE as NAME and NAME_len
set -eu
printf '#include <stddef.h>\n\nextern const unsigned char %s[];\nextern const size_t %s_len;\n' "$1" "$1"
printf 'const unsigned char %s[] = {\n' "$1"
od -An -v -tx1 "$2" | sed 's/ \(..\)/0x\1,/g'
printf '};\nconst size_t %s_len = sizeof(%s);\n' "$1" "$1"
