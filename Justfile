# Each recipe calls a script that works without just. `just` alone lists them.
_default:
    @just --list

# Audit a simulated organization: no credentials, no network
demo *ARGS:
    scripts/demo {{ARGS}}

# Run every test, peers included
test:
    scripts/test

# Measure runs over a simulated organization (release build)
bench *ARGS:
    scripts/bench {{ARGS}}

# What must hold before a change lands
ci:
    bash .ci/run

# Format the code
fmt:
    cargo fmt
