//! Cuts an expression's text into tokens. What a word means, the parser decides.

use crate::duration;
use crate::parser::{ParseError, fail};

/// One token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// Byte offset of its first character.
    pub(crate) start: usize,
    /// Byte offset behind its last character.
    pub(crate) end: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or a keyword; may hold colons.
    Word(String),
    /// A number.
    Number(f64),
    /// A duration such as `1h30m`, in milliseconds.
    Duration(i64),
    /// A quoted text, unescaped.
    Text(String),
    /// An operator or a bracket, as it is written.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Signs, the longer before those they begin with.
const SIGNS: [&str; 24] = [
    "==", "!=", "=~", "!~", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "^", "(", ")", "{",
    "}", "[", "]", ",", "@", ":",
];

/// Cuts the whole text; the last token is [`TokenKind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { text, at: 0, is_in_brackets: false };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let kind = lexer.token()?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token { kind, start, end: lexer.at });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside `[...]` a colon stands alone; elsewhere it is part of a name.
    is_in_brackets: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Goes over spaces, line ends and comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blanks;
            if self.rest().starts_with('#') {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if blanks == 0 {
                return;
            }
        }
    }

    fn token(&mut self) -> Result<TokenKind, ParseError> {
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        let second = self.rest().chars().nth(1);
        match first {
            '"' | '\'' | '`' => self.text_token(first),
            '0'..='9' => self.number(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            ':' if self.is_in_brackets => Ok(self.sign(":")),
            c if is_word(c) && !c.is_ascii_digit() => Ok(self.word()),
            _ => self.sign_token(first),
        }
    }

    fn sign(&mut self, sign: &'static str) -> TokenKind {
        self.at += sign.len();
        match sign {
            "[" => self.is_in_brackets = true,
            "]" => self.is_in_brackets = false,
            _ => {}
        }
        TokenKind::Sign(sign)
    }

    fn sign_token(&mut self, first: char) -> Result<TokenKind, ParseError> {
        match SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) {
            Some(sign) => Ok(self.sign(sign)),
            None => Err(fail(self.text, self.at, format!("unexpected character {first:?}"))),
        }
    }

    /// Takes characters as long as `keep` accepts them.
    fn take(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn word(&mut self) -> TokenKind {
        let word = self.take(is_word);
        match word.to_ascii_lowercase().as_str() {
            "inf" => TokenKind::Number(f64::INFINITY),
            "nan" => TokenKind::Number(f64::NAN),
            _ => TokenKind::Word(word.to_owned()),
        }
    }

    /// Reads a number (`1`, `1.5e3`, `0x1F`, `1_000`) or a duration (`1h30m`).
    fn number(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        let rest = self.rest();
        if rest.starts_with("0x") || rest.starts_with("0X") {
            self.at += 2;
            let digits = self.take(|c| c.is_ascii_alphanumeric() || c == '_').replace('_', "");
            let value = u64::from_str_radix(&digits, 16);
            return value.map(|v| TokenKind::Number(v as f64)).map_err(|_| self.bad_number(start));
        }
        self.take(|c| c.is_ascii_digit() || c == '_');
        if self.peek().is_some_and(char::is_alphabetic) && !self.is_exponent() {
            self.take(|c| c.is_ascii_alphanumeric());
            let written = &self.text[start..self.at];
            return match duration::parse(written) {
                Some(millis) => Ok(TokenKind::Duration(millis)),
                None => Err(self.bad_number(start)),
            };
        }
        if self.peek() == Some('.') {
            self.at += 1;
            self.take(|c| c.is_ascii_digit() || c == '_');
        }
        if self.is_exponent() {
            self.at += 1;
            if self.peek().is_some_and(|c| c == '+' || c == '-') {
                self.at += 1;
            }
            self.take(|c| c.is_ascii_digit());
        }
        if self.peek().is_some_and(|c| is_word(c) && c != ':') {
            self.take(is_word);
            return Err(self.bad_number(start));
        }
        let digits = self.text[start..self.at].replace('_', "");
        digits.parse().map(TokenKind::Number).map_err(|_| self.bad_number(start))
    }

    /// Tells whether `e5`, `E-5` or the like follows.
    fn is_exponent(&self) -> bool {
        let mut chars = self.rest().chars();
        let is_e = matches!(chars.next(), Some('e' | 'E'));
        let next = match chars.next() {
            Some('+' | '-') => chars.next(),
            other => other,
        };
        is_e && next.is_some_and(|c| c.is_ascii_digit())
    }

    fn bad_number(&self, start: usize) -> ParseError {
        let written = &self.text[start..self.at];
        fail(self.text, start, format!("bad number or duration {written:?}"))
    }

    /// Reads a text in one of the three quotes; escapes are Go's (Prometheus' documentation,
    /// "String literals").
    fn text_token(&mut self, quote: char) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(fail(self.text, start, "unterminated quoted string".to_owned()));
            };
            self.at += c.len_utf8();
            match c {
                _ if c == quote => break,
                '\n' if quote != '`' => {
                    return Err(fail(self.text, start, "unterminated quoted string".to_owned()));
                }
                '\\' if quote != '`' => self.escape(quote, &mut bytes)?,
                _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        let text = String::from_utf8(bytes);
        text.map(TokenKind::Text)
            .map_err(|_| fail(self.text, start, "quoted string is not UTF-8".to_owned()))
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), ParseError> {
        let start = self.at - 1;
        let c = self.peek().unwrap_or(quote);
        self.at += self.peek().map_or(0, char::len_utf8);
        let plain = match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            _ if c == quote => quote as u8,
            'x' => self.digits(start, 2, 16)? as u8,
            'u' | 'U' => {
                let code = self.digits(start, if c == 'u' { 4 } else { 8 }, 16)?;
                let decoded = char::from_u32(code).ok_or_else(|| self.bad_escape(start))?;
                bytes.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            '0'..='7' => {
                self.at -= 1;
                let code = self.digits(start, 3, 8)?;
                u8::try_from(code).map_err(|_| self.bad_escape(start))?
            }
            _ => return Err(self.bad_escape(start)),
        };
        bytes.push(plain);
        Ok(())
    }

    fn digits(&mut self, start: usize, count: usize, radix: u32) -> Result<u32, ParseError> {
        let digits = self.rest().get(..count).unwrap_or("");
        let value = u32::from_str_radix(digits, radix).map_err(|_| self.bad_escape(start))?;
        self.at += count;
        Ok(value)
    }

    fn bad_escape(&self, start: usize) -> ParseError {
        fail(self.text, start, "unknown escape sequence".to_owned())
    }
}

/// Tells whether a character may stand in a name.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}
