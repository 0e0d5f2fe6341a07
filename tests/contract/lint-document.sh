#!/bin/sh
# Holds docs/openapi.json against the rules of Redocly and Spectral: any warning fails. Needs Node 20 or newer.
# Nothing is asked of the network but the two packages, and of those only what npm has not kept already.
set -eu
cd "$(dirname "$0")/../.."

export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true SCARF_ANALYTICS=false DO_NOT_TRACK=1
export npm_config_ignore_scripts=true npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false

document=${1:-docs/openapi.json}
npx --yes @redocly/cli@2.77.0 lint --extends=recommended-strict "$document"
npx --yes @stoplight/spectral-cli@6.16.3 lint --ruleset=tests/contract/spectral.yaml --fail-severity=hint "$document"
