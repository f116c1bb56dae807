#!/bin/sh
# Verifies a Keyproof archive in a local folder without Keyproof: levels 1 to 3 of docs/verification.md
# with openssl, sha256sum, sed and the standard utilities. Shares no code with the program.
#
# usage: verify-archive.sh ARCHIVE_DIR [--pin SHA256] [--key PEM] [--expect-head SEQ:SHA256]
#                          [--self-consistent-only]
#   --pin          SHA-256 of chain/0000000001.dsse.json, from outside the archive
#   --key          public key that must have signed, from outside the archive
#   --expect-head  an entry that was seen earlier and must still be there
#
# Without --pin and --key only self-consistency is checked: exit 5 unless --self-consistent-only.
# exit 0 verified, 5 not verified, 2 usage.
set -u
LC_ALL=C
export LC_ALL

usage() {
    echo "verify-archive.sh: $1" >&2
    echo "usage: verify-archive.sh ARCHIVE_DIR [--pin SHA256] [--key PEM] [--expect-head SEQ:SHA256] [--self-consistent-only]" >&2
    exit 2
}

dir='' pin='' key_file='' head_seq='' head_sha='' self_only=''
is_sha256() {
    case $1 in *[!0-9a-f]*) return 1 ;; esac
    [ ${#1} -eq 64 ]
}
while [ $# -gt 0 ]; do
    case $1 in
    --pin | --key | --expect-head)
        [ $# -ge 2 ] || usage "$1 needs a value"
        case $1 in
        --pin)
            pin=$2
            is_sha256 "$pin" || usage "--pin takes a SHA-256 in lower-case hex"
            ;;
        --key)
            key_file=$2
            [ -f "$key_file" ] || usage "no key file $key_file"
            case $key_file in /*) ;; *) key_file=$PWD/$key_file ;; esac
            ;;
        --expect-head)
            head_seq=${2%%:*} head_sha=${2#*:}
            is_sha256 "$head_sha" || usage "--expect-head takes SEQ:SHA256"
            case $head_seq in '' | *[!0-9]* | 0*) usage "--expect-head takes SEQ:SHA256" ;; esac
            ;;
        esac
        shift 2
        ;;
    --self-consistent-only)
        self_only=yes
        shift
        ;;
    -*) usage "unknown option $1" ;;
    *)
        [ -z "$dir" ] || usage "one archive at a time"
        dir=$1
        shift
        ;;
    esac
done
[ -n "$dir" ] || usage "name the archive's folder"
[ -d "$dir" ] || usage "$dir is not a folder"
for tool in openssl sha256sum sed; do
    command -v "$tool" >/dev/null || usage "$tool is needed"
done

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cd "$dir" || exit 1

failures=0
fail() { # class, what
    failures=$((failures + 1))
    printf 'FAIL %s: %s\n' "$1" "$2"
}
notice() { printf 'note %s\n' "$1"; }
finish() {
    if [ "$failures" -gt 0 ]; then
        echo "NOT VERIFIED: $failures failures"
        exit 5
    fi
    if [ -z "$pin$key_file" ]; then
        echo "UNPINNED: the archive agrees with itself; pin entry 1 with --pin ${genesis_sha:-}"
        [ -n "$self_only" ] || exit 5
    fi
    echo "VERIFIED levels 1 to 3: $(wc -l <"$tmp/entries" | tr -d ' ') entries, head $last_seq $last_sha"
    exit 0
}

# --- What is there -----------------------------------------------------------------------------

# Anything but plain files with plain names is no part of an archive.
find . -path ./.tmp -prune -o ! -type d \( ! -type f -o -path '*[!A-Za-z0-9._=/-]*' \) -print |
    sed 's|^\./||' >"$tmp/odd"
while IFS= read -r name; do fail unexpected_object "$name"; done <"$tmp/odd"

find . -path ./.tmp -prune -o -type f ! -path '*[!A-Za-z0-9._=/-]*' -print |
    sed 's|^\./||' | sort >"$tmp/names"
xargs sha256sum -- <"$tmp/names" >"$tmp/digests" 2>"$tmp/errors" ||
    while IFS= read -r line; do fail unreadable "$line"; done <"$tmp/errors"
sort "$tmp/digests" >"$tmp/digests.sorted"
sed -n 's|^\([0-9a-f]*\)  chain/\([0-9]\{10\}\)\.dsse\.json$|\2 \1|p' "$tmp/digests" |
    sed '/^0000000000 /d' | sort >"$tmp/slots"

: >"$tmp/entries"   # kind partition run_id, one line per signed entry
: >"$tmp/expected"  # digest, two spaces, name: what signed entries vouch for
: >"$tmp/claimed"   # names that are accounted for
: >"$tmp/sealed"    # run ids
: >"$tmp/broken"    # run ids whose manifest cannot be trusted
: >"$tmp/died"      # run ids that a seal names as died
: >"$tmp/known"     # run ids of unsealed runs that have a start
last_seq=1 last_sha='' last_start=0 broken_slots=''
recovery='' replaced='' # the recovery key, and keys that sign no more

# --- Keys --------------------------------------------------------------------------------------

# Leaves the key's id in $keyid; false unless the file is the canonical PEM of a P-256 key.
read_pem() {
    openssl pkey -pubin -in "$1" -outform DER -out "$tmp/key.der" 2>/dev/null &&
        [ "$(wc -c <"$tmp/key.der")" -eq 91 ] &&
        openssl pkey -pubin -inform DER -in "$tmp/key.der" -noout -text 2>/dev/null |
        grep -q 'prime256v1' &&
        openssl pkey -pubin -inform DER -in "$tmp/key.der" -out "$tmp/key.pem" 2>/dev/null &&
        cmp -s "$1" "$tmp/key.pem" || return 1
    keyid=$(sha256sum <"$tmp/key.der")
    keyid=${keyid%% *}
}

# --- One slot ----------------------------------------------------------------------------------

# Takes an envelope apart into $tmp/payload, $tmp/sig and $signer. Sets $fault when it is not
# canonical: decoded and encoded again it must be the same bytes.
read_envelope() {
    fault=envelope_not_canonical
    : >"$tmp/fields"
    sed -n 's/^{"payload":"\([A-Za-z0-9+/=]*\)","payloadType":"\([^"\\]*\)","signatures":\[{"keyid":"\([0-9a-f]*\)","sig":"\([A-Za-z0-9+/=]*\)"}\]}$/\1\
\2\
\3\
\4/p' "$1" >"$tmp/fields" 2>/dev/null
    payload='' type='' signer='' sig=''
    { read -r payload && read -r type && read -r signer && read -r sig; } <"$tmp/fields" || return 1
    printf '{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}\n' \
        "$payload" "$type" "$signer" "$sig" | cmp -s - "$1" || return 1
    is_sha256 "$signer" || return 1
    printf '%s' "$payload" | openssl base64 -d -A >"$tmp/payload" 2>/dev/null || return 1
    [ "$(openssl base64 -A -in "$tmp/payload")" = "$payload" ] || return 1
    printf '%s' "$sig" | openssl base64 -d -A >"$tmp/sig" 2>/dev/null || return 1
    [ "$(openssl base64 -A -in "$tmp/sig")" = "$sig" ] || return 1
    fault=wrong_payload_type
    [ "$type" = application/vnd.in-toto+json ] || return 1
    fault=''
}

# Takes the statement in $tmp/payload apart. Canonical JSON has one line, sorted keys and no white
# space, and a quote inside of a text is escaped, so patterns can find fields.
read_statement() {
    fault=statement_malformed
    # A line needs its end before sed and read agree on it.
    { cat "$tmp/payload" && echo; } >"$tmp/statement"
    predicate_type=$(sed -n 's/.*,"predicateType":"\([^"]*\)","subject":\[.*/\1/p' "$tmp/statement")
    case $predicate_type in
    urn:keyproof:seal:v1) ;;
    urn:keyproof:seal:*)
        fault=newer_version
        return 1
        ;;
    *) return 1 ;;
    esac
    sed -n 's/^{"_type":"https:\/\/in-toto\.io\/Statement\/v1","predicate":{"archive_id":"\([0-9a-f]*\)","at":"[^"]*",.*"burnt_slots":\[\([0-9",]*\)\],.*"kind":"\([a-z]*\)",.*"previous_sha256":"\([0-9a-f]*\)",.*"seq":"\([0-9]*\)"},"predicateType":"[^"]*","subject":\[\(.*\)\]}$/\1\
\2\
\3\
\4\
\5\
\6/p' "$tmp/statement" >"$tmp/fields"
    {
        read -r archive_id && read -r burnt && read -r kind && read -r previous &&
            read -r seq && read -r subjects
    } <"$tmp/fields" || return 1
    burnt=$(printf '%s' "$burnt" | tr -d '"' | tr ',' ' ')
    # digest, two spaces, name
    printf '%s\n' "$subjects" | sed 's/},{/}\
{/g' | sed -n 's/^{"digest":{"sha256":"\([0-9a-f]*\)"},"name":"\([A-Za-z0-9._=\/-]*\)"}$/\1  \2/p' >"$tmp/subjects"
    partition='' run_id=''
    case $kind in
    genesis)
        genesis_keyid=$(sed -n 's/.*"genesis":{"keyid":"\([0-9a-f]*\)",.*/\1/p' "$tmp/statement")
        recovery_keyid=$(sed -n 's/.*,"recovery_keyid":"\([0-9a-f]*\)",.*/\1/p' "$tmp/statement")
        [ "$seq" = 1 ] && [ -z "$previous" ] || return 1
        grep -q "  keys/$genesis_keyid\.pem\$" "$tmp/subjects" || return 1
        ;;
    key)
        [ "$seq" != 1 ] && [ -n "$previous" ] || return 1
        sed -n 's/.*,"key":{"by":"\([a-z]*\)","keyid":"\([0-9a-f]*\)","reason":".*","replaces":"\([0-9a-f]*\)"},"kind":"key",.*/\1 \2 \3/p' \
            "$tmp/statement" >"$tmp/fields"
        read -r changed_by new_keyid replaces <"$tmp/fields" || return 1
        [ "$(sed 's/^.*  //' "$tmp/subjects")" = "keys/$new_keyid.pem" ] || return 1
        ;;
    note)
        [ "$seq" != 1 ] && [ -n "$previous" ] || return 1
        about=$(sed -n 's/.*,"kind":"note","note":{"entry":"\([0-9]*\)","text":".*/\1/p' "$tmp/statement")
        [ -n "$about" ] || return 1
        [ "$(sed 's/^.*  //' "$tmp/subjects")" = "$(printf 'chain/%010d.dsse.json' "$about")" ] || return 1
        ;;
    run | rollup | backfill)
        [ "$seq" != 1 ] && [ -n "$previous" ] || return 1
        sed -n 's|^.*  manifest/v1/\([^/]*\)/\([^/]*\)\.json$|\1 \2|p' "$tmp/subjects" >"$tmp/fields"
        read -r partition run_id <"$tmp/fields" || return 1
        [ "$(sed 's/^.*  //' "$tmp/subjects" | tr '\n' ' ')" = \
            "manifest/v1/$partition/$run_id.json sums/v1/$partition/$run_id.sha256 " ] || return 1
        ;;
    *)
        fault=newer_version
        return 1
        ;;
    esac
    fault=''
}

# Whether the envelope is signed by the key in a PEM file.
is_signed_by() {
    {
        printf 'DSSEv1 28 application/vnd.in-toto+json %s ' "$(wc -c <"$tmp/payload" | tr -d ' ')"
        cat "$tmp/payload"
    } >"$tmp/signed"
    openssl dgst -sha256 -verify "$1" -signature "$tmp/sig" "$tmp/signed" >/dev/null 2>&1
}

# Judges a slot on its own: $fault is empty when it holds an entry that was signed for it.
judge() { # slot number without zeros, file
    read_envelope "$2" || return 1
    case $signer in
    "$trusted") signer_pem=$tmp/trusted.pem ;;
    "${recovery:-none}") signer_pem=$tmp/recovery.pem ;;
    *)
        fault=unknown_signer
        return 1
        ;;
    esac
    if ! is_signed_by "$signer_pem"; then
        fault=bad_signature
        return 1
    fi
    read_statement || return 1
    if [ "$archive_id" != "${archive:-$archive_id}" ]; then
        fault=foreign_archive
        return 1
    fi
    if [ "$seq" != "$1" ]; then
        fault=replayed_entry
        return 1
    fi
    if ! may_sign; then
        fault=key_misused
        return 1
    fi
}

# Whether the key that signed the statement may say such a thing: the signing key names a new
# successor, the recovery key does nothing else.
may_sign() {
    if [ "$kind" != key ]; then
        [ "$signer" = "$trusted" ]
        return
    fi
    case $changed_by in
    rotation) [ "$signer" = "$trusted" ] || return 1 ;;
    recovery) [ "$signer" != "$trusted" ] || return 1 ;;
    *) return 1 ;;
    esac
    [ "$replaces" = "$trusted" ] || return 1
    case " $trusted $recovery_keyid $replaced " in *" $new_keyid "*) return 1 ;; esac
}

# --- Entry 1 and the trusted key -----------------------------------------------------------------

first=chain/0000000001.dsse.json
read -r number genesis_sha <"$tmp/slots" || number=''
if [ "${number:-}" != 0000000001 ]; then
    fail empty_archive "there is no $first"
    finish
fi
if [ -n "$pin" ] && [ "$pin" != "$genesis_sha" ]; then
    fail genesis_not_pinned "$first has SHA-256 $genesis_sha"
fi
if ! read_envelope "$first" || ! read_statement; then
    fail "$fault" "$first"
    finish
fi
if [ "$kind" != genesis ]; then
    fail statement_malformed "$first does not begin an archive"
    finish
fi
trusted=$genesis_keyid
stored=keys/$trusted.pem
if [ ! -f "$stored" ]; then
    fail missing_file "$stored"
elif ! read_pem "$stored" || [ "$keyid" != "$trusted" ]; then
    fail pem_not_canonical "$stored"
else
    cp "$stored" "$tmp/trusted.pem"
fi
if [ -n "$key_file" ]; then
    read_pem "$key_file" || usage "$key_file is not the PEM file of a P-256 public key"
    if [ "$keyid" != "$trusted" ]; then
        fail wrong_key "the archive is sealed with key $trusted"
        finish
    fi
    cp "$key_file" "$tmp/trusted.pem"
fi
if [ -n "$recovery_keyid" ]; then
    stored=keys/$recovery_keyid.pem
    if [ ! -f "$stored" ]; then
        : # missing_file, told further down
    elif ! read_pem "$stored" || [ "$keyid" != "$recovery_keyid" ]; then
        fail pem_not_canonical "$stored"
    else
        recovery=$recovery_keyid
        cp "$stored" "$tmp/recovery.pem"
    fi
fi
[ -f "$tmp/trusted.pem" ] || finish
if ! judge 1 "$first"; then
    fail "$fault" "$first"
    finish
fi
archive=$archive_id
cat "$tmp/subjects" >>"$tmp/expected"
sed 's/^.*  //' "$tmp/subjects" >>"$tmp/claimed"
last_sha=$genesis_sha
echo "genesis - -" >>"$tmp/entries"

# --- The chain ---------------------------------------------------------------------------------

fail_bad() { # every slot of $bad, with its fault
    for item in $bad; do fail "${item#*:}" "slot ${item%%:*}"; done
    [ -z "$bad" ] || broken_slots=yes
    bad=''
}

# The link of entry $n to the one before it, over the slots in $bad.
check_link() {
    [ -n "$last_sha" ] || return 0
    unnamed=''
    for name in $burnt; do
        case " $bad" in *" $name:"*) ;; *) fail burnt_slot_wrong "entry $n names slot $name" ;; esac
    done
    for item in $bad; do
        case " $burnt " in
        *" ${item%%:*} "*)
            notice "slot ${item%%:*} holds an intruder (${item#*:}); entry $n names it"
            continue
            ;;
        esac
        broken_slots=yes
        if [ "$previous" = "$last_sha" ]; then
            fail intruder "entry $n links over slot ${item%%:*} (${item#*:}) without naming it"
        else
            unnamed=yes
            fail "${item#*:}" "slot ${item%%:*}"
        fi
    done
    bad=''
    if [ "$previous" != "$last_sha" ] && [ -z "$unnamed" ]; then
        fail link_mismatch "entry $n"
    fi
}

# The key that entry $n names signs from now on.
change_key() {
    stored=keys/$new_keyid.pem
    if [ ! -f "$stored" ]; then
        return # missing_file, told further down
    elif ! read_pem "$stored" || [ "$keyid" != "$new_keyid" ]; then
        fail pem_not_canonical "$stored"
        return
    fi
    replaced="$replaced $trusted"
    trusted=$new_keyid
    cp "$stored" "$tmp/trusted.pem"
}

# What entry $n says about runs; its statement is in $tmp/statement.
note_runs() {
    if grep -qx -e "$run_id" "$tmp/sealed"; then fail twice_sealed "run $run_id, entry $n"; fi
    if grep -qx -e "$run_id" "$tmp/died"; then fail dead_run_sealed "run $run_id, entry $n"; fi
    [ "$kind" = run ] || return 0
    sed 's/"start_n":"\([0-9]*\)","start_sha256":"\([0-9a-f]*\)"/\
@start \1 \2\
/g; s/"run_id":"\([0-9A-Za-z-]*\)",\
@start/\
@run \1\
@start/g; s/"start_n":"\([0-9]*\)","started_at"/\
@own \1\
/' "$tmp/statement" | sed -n 's/^@//p' >"$tmp/fields"
    while read -r word value start_sha; do
        case $word in
        start)
            name=$(printf 'starts/%010d.json' "$value")
            echo "$start_sha  $name" >>"$tmp/expected"
            echo "$name" >>"$tmp/claimed"
            ;;
        run)
            echo "$value" >>"$tmp/died"
            echo "$value" >>"$tmp/known"
            if grep -qx -e "$value" "$tmp/sealed"; then fail dead_run_sealed "run $value, entry $n"; fi
            ;;
        own) if [ "$value" -gt "$last_start" ]; then last_start=$value; fi ;;
        esac
    done <"$tmp/fields"
}

# Whether a slot that was judged is signed all the same: by a trusted key, or by one that lies in the
# archive and that a missing entry may have named. It is not trusted for that: it shows that entries are
# missing.
shows_a_gap() { # slot number
    case $fault in
    '' | newer_version | key_misused) return 0 ;;
    unknown_signer) ;;
    *) return 1 ;;
    esac
    case " $replaced " in *" $signer "*) return 1 ;; esac
    # In a process of its own: what the slot says sets nothing here.
    (
        [ -f "keys/$signer.pem" ] && [ ! -h "keys/$signer.pem" ] && read_pem "keys/$signer.pem" &&
            [ "$keyid" = "$signer" ] && is_signed_by "keys/$signer.pem" || exit 1
        if read_statement; then
            [ "$archive_id" = "$archive" ] && [ "$seq" = "$1" ]
        else
            [ "$fault" = newer_version ]
        fi
    )
}

bad='' expected_seq=2
sed 1d "$tmp/slots" >"$tmp/others"
while read -r slot digest; do
    n=${slot#"${slot%%[!0]*}"}
    file=chain/$slot.dsse.json
    judge "$n" "$file"
    if [ "$n" != "$expected_seq" ]; then
        if ! shows_a_gap "$n"; then
            fail unexpected_object "$file lies beyond the end of the chain"
            continue
        fi
        fail gap "slot $expected_seq is missing"
        fail_bad
        broken_slots=yes last_sha=''
    fi
    expected_seq=$((n + 1))
    case $fault in
    '') ;;
    newer_version)
        fail_bad
        fail newer_version "$file"
        broken_slots=yes last_sha=$digest
        continue
        ;;
    *)
        bad="$bad$n:$fault "
        continue
        ;;
    esac
    check_link
    last_seq=$n last_sha=$digest
    case $kind in
    genesis) continue ;;
    key | note)
        echo "$kind - -" >>"$tmp/entries"
        cat "$tmp/subjects" >>"$tmp/expected"
        sed 's/^.*  //' "$tmp/subjects" >>"$tmp/claimed"
        [ "$kind" = note ] || change_key
        continue
        ;;
    esac
    note_runs
    if ! grep -qx -e "$run_id" "$tmp/sealed"; then
        echo "$kind $partition $run_id" >>"$tmp/entries"
        cat "$tmp/subjects" >>"$tmp/expected"
        sed 's/^.*  //' "$tmp/subjects" >>"$tmp/claimed"
    fi
    echo "$run_id" >>"$tmp/sealed"
done <"$tmp/others"
fail_bad

if [ -n "$head_seq" ]; then
    found=$(sed -n "s/^$(printf '%010d' "$head_seq") //p" "$tmp/slots")
    if [ -z "$found" ]; then
        fail removed_tail "entry $head_seq was seen and is gone"
    elif [ "$found" != "$head_sha" ]; then
        fail head_changed "entry $head_seq has SHA-256 $found"
    fi
fi

# --- Manifests -----------------------------------------------------------------------------------

# Whether the file has the digest that an entry vouches for; the failure itself is told further down.
is_sealed() { grep -qx -e "$(grep -e "  $1\$" "$tmp/expected" | head -n 1)" "$tmp/digests"; }

# "digest  name" of every file that the manifest in $1 lists; how storage kept it is left out.
manifest_sums() {
    sed -n 's/^{"archive_id":"[0-9a-f]*","files":\[\(.*\)\],"orphans":\[.*\],.*"version":"1"}$/\1/p' "$1" |
        sed -e 's/,"stored":{[^{}]*}}/}/g' -e 's/},{/}\
{/g' | sed -n 's/^{"bytes":[0-9]*,"name":"\([A-Za-z0-9._=\/-]*\)",.*"sha256":"\([0-9a-f]*\)"}$/\2  \1/p
s/^{"bytes":[0-9]*,"name":"\([A-Za-z0-9._=\/-]*\)","sha256":"\([0-9a-f]*\)"}$/\2  \1/p'
}

while read -r kind partition run_id; do
    [ "$kind" != genesis ] || continue
    manifest=manifest/v1/$partition/$run_id.json
    sums=sums/v1/$partition/$run_id.sha256
    if ! is_sealed "$manifest"; then
        echo "$run_id" >>"$tmp/broken"
        continue
    fi
    case $partition in
    dt=*) period="\"scheduled_for\":\"${partition#dt=}\"" ;;
    *) period="\"quarter\":\"${partition#quarter=}\"" ;;
    esac
    if ! grep -q "^{\"archive_id\":\"$archive\",.*\"run_id\":\"$run_id\"[,}]" "$manifest" ||
        ! grep -q "[,{]$period[,}]" "$manifest"; then
        fail malformed_manifest "$manifest"
        echo "$run_id" >>"$tmp/broken"
        continue
    fi
    manifest_sums "$manifest" >"$tmp/listed"
    if is_sealed "$sums" && ! cmp -s "$tmp/listed" "$sums"; then
        fail sums_disagree "$sums"
    fi
    cat "$tmp/listed" >>"$tmp/expected"
    sed 's/^.*  //' "$tmp/listed" >>"$tmp/claimed"
    [ "$kind" = run ] || continue
    # An orphan is what a process of this run may leave: no other file is for its manifest to excuse.
    shard='([0-9]{2}|[1-9][0-9]{2,8})'
    own="evidence/[a-z0-9_]{1,64}/v(0|[1-9][0-9]{0,8})/$partition/$run_id\\.s$shard-[0-9a-f]{1,32}\\.parquet"
    own="$own|runs/$partition/$run_id/(scope|shard-$shard)\\.json"
    sed -n 's/^.*,"orphans":\[\([A-Za-z0-9._=/",-]*\)\],.*$/\1/p' "$manifest" | tr -d '"' |
        tr ',' '\n' | grep -Ex -e "$own" >>"$tmp/claimed"
done <"$tmp/entries"

# --- Files ---------------------------------------------------------------------------------------

sort -u "$tmp/expected" | comm -23 - "$tmp/digests.sorted" >"$tmp/wrong"
while read -r digest name; do
    if [ -f "$name" ] && [ ! -h "$name" ]; then
        fail digest_mismatch "$name"
    else
        fail missing_file "$name"
    fi
done <"$tmp/wrong"

# --- Accounting ------------------------------------------------------------------------------------

sort -u "$tmp/claimed" | comm -13 - "$tmp/names" >"$tmp/unclaimed"
# Starts that nobody vouches for, and manifests of unsealed rollups and backfills, say which runs are known.
while IFS= read -r name; do
    case $name in
    starts/*)
        number=$(printf '%s' "$name" | sed -n 's|^starts/\([0-9]\{10\}\)\.json$|\1|p')
        n=${number#"${number%%[!0]*}"}
        if [ -z "$n" ]; then
            fail unexpected_object "$name"
            continue
        fi
        run_id=$(sed -n "s/^{.*\"n\":$n,\"run_id\":\"\\([0-9A-Za-z-]*\\)\",.*}\$/\\1/p" "$name")
        if [ -n "$run_id" ] && grep -qx -e "$run_id" "$tmp/sealed" &&
            ! grep -qx -e "$run_id" "$tmp/broken"; then
            fail unexpected_object "$name: its run is sealed with another start"
        elif [ "$n" -le "$last_start" ] && [ -z "$broken_slots" ]; then
            fail unexpected_object "$name: no seal names it, and later starts are sealed"
        elif [ -z "$run_id" ]; then
            notice "$name cannot be read; the next seal names it"
        else
            echo "$run_id" >>"$tmp/known"
            notice "run $run_id (start $n) is not sealed"
        fi
        ;;
    esac
done <"$tmp/unclaimed"

# Partition, run id and kind of a name below a run or rollup; nothing for other names.
describe() {
    run='[0-9]\{8\}T[0-9]\{6\}Z-[0-9a-f]\{4,16\}'
    date='dt=[0-9]\{4\}-[0-9][0-9]-[0-9][0-9]'
    quarter='quarter=[0-9]\{4\}Q[1-4]'
    printf '%s\n' "$1" | sed -n \
        -e "s#^runs/\\($date\\)/\\($run\\)/end\\.json\$#\\1 \\2 end#p" \
        -e "s#^runs/\\($date\\)/\\($run\\)/scope\\.json\$#\\1 \\2 run#p" \
        -e "s#^runs/\\($date\\)/\\($run\\)/shard-[0-9]\\{2,\\}\\.json\$#\\1 \\2 run#p" \
        -e "s#^evidence/[a-z0-9_]*/v[0-9]*/\\($date\\)/\\($run\\)\\.s[0-9]\\{2,\\}-[0-9a-f]*\\.parquet\$#\\1 \\2 run#p" \
        -e "s#^manifest/v1/\\($date\\)/\\($run\\)\\.json\$#\\1 \\2 run#p" \
        -e "s#^sums/v1/\\($date\\)/\\($run\\)\\.sha256\$#\\1 \\2 run#p" \
        -e "s#^rollup/[a-z0-9_]*/v[0-9]*/\\($quarter\\)/\\($run\\)\\.parquet\$#\\1 \\2 rollup#p" \
        -e "s#^manifest/v1/\\($quarter\\)/\\($run\\)\\.json\$#\\1 \\2 rollup#p" \
        -e "s#^sums/v1/\\($quarter\\)/\\($run\\)\\.sha256\$#\\1 \\2 rollup#p"
}

# Whether the manifest in $1, of the run $run_id, lists what backfills write and nothing else: a backfill has
# no start.
is_backfill() {
    [ -f "$1" ] && grep -q "^{\"archive_id\":.*\"run_id\":\"$run_id\"" "$1" &&
        ! manifest_sums "$1" |
            grep -Evq '  evidence/(backfilled_control_event|backfilled_launch|trail_reading)/v(0|[1-9][0-9]{0,8})/'
}

while IFS= read -r name; do
    case $name in
    starts/*) continue ;;
    chain/*)
        # Slots were looked at on their own.
        printf '%s\n' "$name" | grep -q '^chain/[0-9]\{10\}\.dsse\.json$' &&
            [ "$name" != chain/0000000000.dsse.json ] || fail unexpected_object "$name"
        continue
        ;;
    esac
    case $name in
    keys/*)
        if read_pem "$name" && [ "$name" = "keys/$keyid.pem" ]; then
            notice "no entry names key $keyid; nothing that it signs is trusted"
            continue
        fi
        ;;
    esac
    about=$(describe "$name")
    if [ -z "$about" ]; then
        fail unexpected_object "$name"
        continue
    fi
    partition=${about%% *} of=${about##* }
    run_id=${about#* }
    run_id=${run_id% *}
    manifest=manifest/v1/$partition/$run_id.json
    if grep -qx -e "$run_id" "$tmp/broken"; then
        : # the manifest that would tell is broken, and was reported
    elif grep -qx -e "$run_id" "$tmp/sealed"; then
        if [ "$of" = end ]; then
            notice "run $run_id is sealed and has an end.json as well"
        else
            fail unexpected_object "$name: its run is sealed and its manifest does not list it"
        fi
    elif { [ "$of" = run ] && is_backfill "$manifest"; } ||
        { [ "$of" = rollup ] && [ -f "$manifest" ] &&
            grep -q "^{\"archive_id\":.*\"run_id\":\"$run_id\"" "$manifest"; }; then
        case $name in
        rollup/* | evidence/*)
            grep -q "\"name\":\"$name\"" "$manifest" ||
                fail unexpected_object "$name: its rollup or backfill is not sealed and its manifest does not list it"
            ;;
        esac
        notice "$name belongs to a rollup or backfill that is not sealed"
    elif grep -qx -e "$run_id" "$tmp/known"; then
        notice "$name belongs to a run that is not sealed"
    else
        fail unexpected_object "$name: it belongs to no known run"
    fi
done <"$tmp/unclaimed"

finish
