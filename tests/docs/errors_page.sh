#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks that a page explains every result code. errors_page.sh <types.h> <page>
set -euo pipefail
header=$1 page=$2

codes=$(sed '/^} signcclResult_t;/,$d' "$header" | sed -n 's/^ *\(signccl[A-Za-z]*\) = \([0-9]*\).*/\2 \1/p' |
  grep -v signcclNumResults)
(($(wc -l <<<"$codes") >= 9)) || { echo "found only: $codes" >&2 && exit 1; }
while read -r code; do
  grep -q "^| $code |" "$page" || { echo "$page has no row '| $code |'" >&2 && exit 1; }
done <<<"$codes"
