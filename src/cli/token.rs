//! `crosspoint token create`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::arguments::{Output, TokenCommand, TokenCreate};
use super::{Unusable, serve, unusable};
use crate::base::UserId;
use crate::config::{self, Config};
use crate::signaling::{self, Claims, Scope, TokenKey};

pub(super) fn run(command: &TokenCommand, output: Output) -> ExitCode {
    let TokenCommand::Create(create) = command;
    match made(create) {
        Ok((token, claims)) => {
            match output {
                Output::Text | Output::Junit => println!("{token}"),
                Output::Json => {
                    println!("{}", json!({"token": token, "sub": claims.sub, "exp": claims.exp}));
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => unusable(&error),
    }
}

fn made(create: &TokenCreate) -> Result<(String, Claims), Unusable> {
    let loaded = config::load(&create.config, &serve::environment()).map_err(Unusable::new)?;
    let user: UserId = create
        .user
        .parse()
        .map_err(|error| Unusable::new(format_args!("--user {}: {error}", create.user)))?;
    if !loaded.config.users.contains_key(&user) {
        let known: Vec<&str> = loaded.config.users.keys().map(UserId::as_str).collect();
        let words = format!("no [user.{user}] in the configuration; it has {}", known.join(", "));
        return Err(Unusable::new(words));
    }
    let ttl = ttl(&create.ttl)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let all = Claims::new(user, (now + ttl).as_secs());
    let claims = Claims {
        scopes: if create.scope.is_empty() { all.scopes } else { scopes(&create.scope)? },
        callers: create.caller.clone(),
        destinations: create.destination.clone(),
        max_call_s: create.max_call.as_deref().map(length).transpose()?.map(|d| d.as_secs()),
        ..all
    };
    Ok((sign(&loaded.config, &claims)?, claims))
}

/// Signs claims with a configuration's key.
pub(super) fn sign(config: &Config, claims: &Claims) -> Result<String, Unusable> {
    let secret = config.auth.token_secret.as_ref().ok_or_else(|| {
        Unusable::new("[auth] has no token_secret_file: a running gateway made a key of its own")
    })?;
    let key = TokenKey::new(secret.expose().as_bytes())
        .ok_or_else(|| Unusable::new("the token secret is shorter than 32 bytes"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    signaling::mint(&key, claims, now.as_secs()).map_err(Unusable::new)
}

fn ttl(text: &str) -> Result<Duration, Unusable> {
    time("--ttl", text)
}

fn length(text: &str) -> Result<Duration, Unusable> {
    time("--max-call", text)
}

fn scopes(words: &[String]) -> Result<Vec<Scope>, Unusable> {
    let scope = |word: &String| match word.as_str() {
        "call:out" => Ok(Scope::CallOut),
        "call:in" => Ok(Scope::CallIn),
        _ => Err(Unusable::new(format_args!("--scope {word}: expected call:out or call:in"))),
    };
    words.iter().map(scope).collect()
}

fn time(option: &str, text: &str) -> Result<Duration, Unusable> {
    let wrong = || Unusable::new(format_args!("{option} {text}: expected 30s, 10m or 1h"));
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    };
    Ok(Duration::from_secs(seconds.ok_or_else(wrong)?))
}
