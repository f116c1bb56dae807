#!/bin/sh
# Makes the views of schemas/views.sql in Amazon Athena, one statement after the other, after the raw tables
# are there (schemas/athena.json). Running it again replaces them. Needs the AWS CLI with credentials.
#
#   scripts/deploy/athena-views.sh BUCKET/PREFIX PIN [WORKGROUP]
#
# PIN is the SHA-256 of the archive's entry 1, told to you by another way than the archive.
set -eu

die() {
  printf 'athena-views.sh: %s\n' "$*" >&2
  exit 1
}

[ $# -ge 2 ] && [ $# -le 3 ] || die "usage: athena-views.sh BUCKET/PREFIX PIN [WORKGROUP]"
archive=$1 pin=$2 group=${3:-primary}
printf '%s\n' "$archive" | grep -Eq '^[a-z0-9][a-z0-9.-]+[a-z0-9](/[A-Za-z0-9._=-]+)*$' ||
  die "'$archive' is no bucket and prefix such as org-emr-evidence/keyproof"
printf '%s\n' "$pin" | grep -Eq '^[0-9a-f]{64}$' || die "'$pin' is no SHA-256 in lower-case hex"
views=$(dirname "$0")/../../schemas/views.sql
[ -r "$views" ] || die "cannot read $views"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A statement ends with a semicolon at the end of a line; lines that only comment are left out.
sed -e '/^--/d' -e "s|{{bucket}}|$archive|g" -e "s|{{pin}}|$pin|g" "$views" |
  awk -v work="$work" '
    { text = text $0 "\n" }
    /;$/ { sub(/;\n$/, "\n", text); printf "%s", text > sprintf("%s/%03d.sql", work, ++n); text = "" }'

for statement in "$work"/*.sql; do
  name=$(sed -n '/./{p;q;}' "$statement")
  id=$(aws athena start-query-execution --work-group "$group" --query QueryExecutionId --output text \
    --query-string "file://$statement")
  while :; do
    state=$(aws athena get-query-execution --query-execution-id "$id" --output text \
      --query QueryExecution.Status.State)
    case $state in
      SUCCEEDED) break ;;
      QUEUED | RUNNING) sleep 1 ;;
      *)
        reason=$(aws athena get-query-execution --query-execution-id "$id" --output text \
          --query QueryExecution.Status.StateChangeReason)
        die "$state: $name: $reason"
        ;;
    esac
  done
  printf 'done  %s\n' "$name"
done
