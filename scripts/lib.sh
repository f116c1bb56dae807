# shellcheck shell=bash
# What the scripts share. Sourced by bash, not run.
#
# Sets repo, CARGO_TARGET_DIR (kept when set) and build_dir (KEYPROOF_BUILD, else build/ in the
# repository), where the peers' Python environment stands.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$repo/target}
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
export CARGO_TARGET_DIR
build_dir=${KEYPROOF_BUILD:-$repo/build}
case $build_dir in /*) ;; *) build_dir=$PWD/$build_dir ;; esac
# shellcheck disable=SC2034
binary=$CARGO_TARGET_DIR/debug/keyproof
venv=$build_dir/peers-venv

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Whether Debian packages can be installed here.
can_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

apt_updated=
apt_install() {
  printf 'Installing with apt-get: %s\n' "$*"
  [ -n "$apt_updated" ] || apt-get update -qq || die "apt-get update failed"
  apt_updated=yes
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    die "apt-get could not install: $*"
}

# The Debian package of a command. Two stand for more than their name: a C compiler with its
# headers, and a Python that can make virtual environments.
package_of() {
  case $1 in
    cc) echo "gcc libc6-dev" ;;
    python3) echo "python3 python3-venv" ;;
    sha256sum) echo coreutils ;;
    strip) echo binutils ;;
    ldd) echo libc-bin ;;
    node) echo nodejs ;;
    java) echo default-jre-headless ;;
    *) echo "$1" ;;
  esac
}

present() {
  command -v "$1" >/dev/null || return 1
  [ "$1" != python3 ] || python3 -c 'import ensurepip, venv' 2>/dev/null
}

# ensure_packages COMMAND…: each is there afterwards, or the script ends saying what to install.
ensure_packages() {
  local command missing=
  for command in "$@"; do
    present "$command" || missing="$missing $(package_of "$command")"
  done
  [ -n "$missing" ] || return 0
  # Package names have no spaces: split on purpose.
  # shellcheck disable=SC2086
  if can_install; then apt_install $missing; else die "please install:$missing"; fi
}

# The Rust that Cargo.toml asks for is there afterwards, or the script ends saying how to get it.
ensure_rust() {
  local needed found
  needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repo/Cargo.toml")
  if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH=$HOME/.cargo/bin:$PATH
  fi
  if ! command -v cargo >/dev/null && can_install; then
    # Debian's own rustc is too old; Debian 13 and later have rustup.
    apt-get update -qq && apt_updated=yes
    if apt-cache policy rustup | grep -q 'Candidate: [0-9]'; then
      apt_install rustup ca-certificates
      rustup toolchain install stable --profile minimal -c clippy -c rustfmt ||
        die "rustup could not install a toolchain"
      rustup default stable
    fi
  fi
  command -v cargo >/dev/null ||
    die "Rust $needed or newer is needed, and Debian's is too old: install it from https://rustup.rs, then run this again"
  found=$(rustc --version | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$needed" "${found%%-*}" | sort -V | head -n 1)" = "$needed" ] ||
    die "Rust $needed or newer is needed, found $found: run 'rustup update stable', then this again"
}

# The peers' Python environment, as tests/peers/requirements.txt pins it. Made again when that file
# or the interpreter changes; the stamp comes last, so that a broken install is not taken for whole.
ensure_venv() {
  local requirements=$repo/tests/peers/requirements.txt stamp
  ensure_packages python3
  stamp=$(python3 --version; cat "$requirements")
  [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
  printf 'Installing the peers of the tests into %s (about 1 GB)\n' "$venv"
  rm -rf "$venv"
  mkdir -p "$build_dir"
  python3 -m venv "$venv" || return 1
  "$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements" || return 1
  printf '%s\n' "$stamp" >"$venv/.stamp"
}

# Says how long the first build takes, before it starts.
announce_build() {
  if ! compgen -G "$CARGO_TARGET_DIR/debug/deps/libdatafusion-*.rlib" >/dev/null; then
    printf 'First build: about 350 crates into %s.\n' "$CARGO_TARGET_DIR"
    printf 'On 2 cores this takes 6 to 8 minutes; later builds take seconds.\n'
  fi
}

# A list of steps, for scripts that go on after a failure and report at the end.
steps_passed=0 steps_failed=0 steps_skipped=0 steps_notes=

# step TITLE COMMAND…: a headline, the command's output, how it ended. Gives the command's result.
step() {
  local title=$1 result=0 began=$SECONDS
  shift
  printf '\n== %s\n' "$title"
  "$@" || result=$?
  if [ "$result" = 0 ]; then
    steps_passed=$((steps_passed + 1))
    printf -- '-- ok, %s s\n' $((SECONDS - began))
  else
    steps_failed=$((steps_failed + 1))
    steps_notes+="FAILED   $title (exit $result)"$'\n'
    printf -- '-- FAILED with exit %s, %s s\n' "$result" $((SECONDS - began))
  fi
  return "$result"
}

# skip TITLE REASON
skip() {
  steps_skipped=$((steps_skipped + 1))
  steps_notes+="skipped  $1: $2"$'\n'
  printf '\n== %s\n-- skipped: %s\n' "$1" "$2"
}

# Ends the script: what failed or was skipped, the counts, a result that says whether all held.
finish() {
  printf '\n%s after %s s\n%s' "$0" "$SECONDS" "$steps_notes"
  printf 'steps: %s passed, %s failed, %s skipped\n' "$steps_passed" "$steps_failed" "$steps_skipped"
  [ "$steps_failed" = 0 ]
  exit
}
