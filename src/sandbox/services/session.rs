//! Session tokens of the sandbox: what STS issues and the wire reads back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What a session token says. It is not signed: the sandbox trusts its callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// 12-digit account of the role.
    pub account: String,
    /// Role name.
    pub role: String,
    /// Role session name.
    pub session: String,
    /// Milliseconds since the epoch.
    pub expires_ms: i64,
}

/// The token of these claims.
pub fn encode(claims: &SessionClaims) -> String {
    STANDARD.encode(serde_json::json!(claims).to_string())
}

/// The claims of a token; `None` when STS of this sandbox cannot have issued it.
pub fn decode(token: &str) -> Option<SessionClaims> {
    serde_json::from_slice(&STANDARD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_its_claims_and_anything_else_gives_none() {
        let claims = SessionClaims {
            account: "111122223333".to_owned(),
            role: "keyproof-reader".to_owned(),
            session: "run=1,x@y".to_owned(),
            expires_ms: 1_791_158_400_000,
        };
        let token = encode(&claims);
        assert_eq!(decode(&token), Some(claims));
        assert_eq!(decode(""), None);
        assert_eq!(decode("%%%"), None);
        assert_eq!(decode(&token[4..]), None);
        assert_eq!(decode(&STANDARD.encode("{\"account\":\"1\"}")), None);
    }
}
