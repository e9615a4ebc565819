#!/usr/bin/env bash
# Lets the clouds' SDKs log in by this job's OIDC token, with no key and no action of somebody else's: says by $GITHUB_ENV
# where the token is and which role to take. A cloud whose variables are empty is left out.
# https://docs.github.com/actions/concepts/security/openid-connect
set -euo pipefail

token() {
  curl --fail --silent --show-error --retry 3 -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
    "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=$1" | jq -er .value
}

umask 077
if [ -n "${AWS_ROLE:-}" ]; then
  token sts.amazonaws.com > "$RUNNER_TEMP/aws-token"
  {
    echo "AWS_ROLE_ARN=$AWS_ROLE"
    echo "AWS_WEB_IDENTITY_TOKEN_FILE=$RUNNER_TEMP/aws-token"
    echo "AWS_ROLE_SESSION_NAME=fleet-${GITHUB_RUN_ID}"
  } >> "$GITHUB_ENV"
fi
if [ -n "${GCP_PROVIDER:-}" ]; then
  token "https://iam.googleapis.com/$GCP_PROVIDER" > "$RUNNER_TEMP/gcp-token"
  jq -n --arg audience "//iam.googleapis.com/$GCP_PROVIDER" --arg file "$RUNNER_TEMP/gcp-token" --arg account "${GCP_ACCOUNT:?}" '{
    type: "external_account",
    audience: $audience,
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: "https://sts.googleapis.com/v1/token",
    service_account_impersonation_url:
      ("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + $account + ":generateAccessToken"),
    credential_source: {file: $file}
  }' > "$RUNNER_TEMP/gcp.json"
  echo "GOOGLE_APPLICATION_CREDENTIALS=$RUNNER_TEMP/gcp.json" >> "$GITHUB_ENV"
fi
if [ -n "${AZURE_CLIENT:-}" ]; then
  # The provider asks for the token itself.
  {
    echo "ARM_USE_OIDC=true"
    echo "ARM_CLIENT_ID=$AZURE_CLIENT"
    echo "ARM_TENANT_ID=${AZURE_TENANT:?}"
    echo "ARM_SUBSCRIPTION_ID=${AZURE_SUBSCRIPTION:?}"
  } >> "$GITHUB_ENV"
fi
