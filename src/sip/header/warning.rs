//! Warning (RFC 3261 20.43): why a request was refused, in words.

use std::fmt;

use super::TypedHeader;
use crate::sip::grammar::{self, Malformed};

/// One warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// 300 to 399.
    pub code: u16,
    /// Who warns: a host or a pseudonym.
    pub agent: String,
    /// Words for people.
    pub text: String,
}

impl TypedHeader for Warning {
    const NAME: &'static str = "Warning";

    fn parse(value: &str) -> Result<Warning, Malformed> {
        let wrong = Malformed("Warning is a code, an agent and a quoted text");
        let mut parts = grammar::trim(value).splitn(3, [' ', '\t']);
        let code = parts.next().filter(|code| code.len() == 3).and_then(grammar::number);
        let agent = parts.next().filter(|agent| !agent.is_empty() && !agent.contains('"'));
        let text = parts.next().map(grammar::trim);
        let quoted = text.filter(|text| grammar::quoted_len(text) == Some(text.len()));
        Ok(Warning {
            code: code.ok_or(wrong)?,
            agent: agent.ok_or(wrong)?.to_owned(),
            text: grammar::unquote(quoted.ok_or(wrong)?).into_owned(),
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.agent, grammar::quote(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_agent_and_text() {
        let value = "307 isi.edu \"Session parameter 'foo' not \\\"understood\\\"\"";
        let warning = Warning::parse(value).unwrap();
        assert_eq!((warning.code, warning.agent.as_str()), (307, "isi.edu"));
        assert_eq!(warning.text, "Session parameter 'foo' not \"understood\"");
        assert_eq!(warning.to_string(), value);
        for value in ["", "307", "307 h", "307 h text", "30 h \"t\"", "307 h \"t\" x"] {
            assert!(Warning::parse(value).is_err(), "{value}");
        }
    }
}
