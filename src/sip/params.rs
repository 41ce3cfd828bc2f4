//! Header parameters, `;name` and `;name=value` (RFC 3261 25.1 generic-param): their order and the
//! text of their values are kept, names compare without case.

use std::borrow::Cow;
use std::fmt;

use super::grammar::{self, Malformed};

/// The parameters after a header's value. Values are kept as written, quotes included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// None.
    pub fn new() -> Params {
        Params::default()
    }

    /// Parses what follows a value: nothing, or `;a;b=c`. Blanks around `;` and `=` are allowed.
    pub fn parse(text: &str) -> Result<Params, Malformed> {
        let text = grammar::trim(text);
        if text.is_empty() {
            return Ok(Params::default());
        }
        let rest = text.strip_prefix(';').ok_or(Malformed("a parameter starts with `;`"))?;
        grammar::split(rest, b';').map(parse_one).collect::<Result<_, _>>().map(Params)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The value as written; `None` when the parameter is missing or has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        value.as_deref()
    }

    /// The value without quotes.
    pub fn unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(grammar::unquote)
    }

    /// Sets a parameter with a value, at its old place or at the end. A value that is neither a
    /// token nor a host is quoted.
    pub fn set(&mut self, name: &str, value: &str) {
        self.put(name, Some(written(value)));
    }

    /// Sets a parameter without a value, at its old place or at the end.
    pub fn set_flag(&mut self, name: &str) {
        self.put(name, None);
    }

    /// Removes a parameter.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    /// Names and values as written, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn put(&mut self, name: &str, value: Option<String>) {
        match self.0.iter_mut().find(|(own, _)| own.eq_ignore_ascii_case(name)) {
            Some(own) => own.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

fn parse_one(text: &str) -> Result<(String, Option<String>), Malformed> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (grammar::trim(name), Some(grammar::trim(value))),
        None => (text, None),
    };
    if !grammar::is_token(name) {
        return Err(Malformed("the name of a parameter is a token"));
    }
    match value {
        Some(value) if !is_value(value) => {
            Err(Malformed("the value of a parameter is a token, a host or a quoted string"))
        }
        value => Ok((name.to_owned(), value.map(str::to_owned))),
    }
}

/// gen-value = token / host / quoted-string (RFC 3261 25.1). `:`, `/` and the like are let through:
/// they are harmless and peers write them.
fn is_value(value: &str) -> bool {
    match grammar::quoted_len(value) {
        Some(length) => length == value.len(),
        None => is_plain(value),
    }
}

fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.contains([' ', '\t', '"', '<', '>', ',', ';'])
}

fn written(value: &str) -> String {
    let plain = is_plain(value) && !value.contains(char::is_control);
    if plain { value.to_owned() } else { grammar::quote(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_order_and_text() {
        let params = Params::parse(" ; tag = a1 ;lr; X=\"a;b\" ").unwrap();
        assert_eq!(params.to_string(), ";tag=a1;lr;X=\"a;b\"");
        assert_eq!(params.get("TAG"), Some("a1"));
        assert_eq!(params.get("lr"), None);
        assert!(params.contains("LR"));
        assert_eq!(params.unquoted("x").as_deref(), Some("a;b"));
    }

    #[test]
    fn broken_parameters_are_refused() {
        for text in ["tag=1", ";", ";;a", ";=1", ";a=", ";a=\"open", ";a b", ";a=\"x\"y", ";a=b c"]
        {
            assert!(Params::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn set_replaces_in_place_and_quotes_what_is_no_token() {
        let mut params = Params::parse(";a=1;b").unwrap();
        params.set("A", "x y");
        params.set("c", "[2001:db8::1]");
        params.remove("b");
        assert_eq!(params.to_string(), ";a=\"x y\";c=[2001:db8::1]");
    }
}
