//! The grammar: tokens become an [`Expression`].
//!
//! `and` and `or` have equal precedence and associate to the left. A bare name, number or address after one of them
//! takes the qualifiers of what stands before it, and so does what stands before a parenthesis for the inside of it.

use super::FilterError;
use super::expression::{
    Arithmetic, Direction, Expression, FieldSize, Junction, Operator, Part, Primitive, Protocol, Relation,
};
use super::lexer::{self, Placed, Token};
use super::names;
use super::qualified::{self, Id, Kind, Qualifiers};

/// Deepest nesting of parentheses, brackets and operators.
const DEEPEST: usize = 128;
/// Longest text in bytes.
const LONGEST_BYTES: usize = 64 * 1024;

/// Reads a filter; `None` when it is empty.
pub(super) fn parse(text: &str) -> Result<Option<Expression>, FilterError> {
    if text.len() > LONGEST_BYTES {
        let expected = format!("at most {LONGEST_BYTES} bytes");
        return Err(syntax(text, 0, expected, format!("{}", text.len())));
    }
    let tokens = lexer::tokens(text).map_err(|unreadable| {
        syntax(text, unreadable.at, unreadable.expected.to_owned(), unreadable.found)
    })?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0 };
    if *parser.token() == Token::End {
        return Ok(None);
    }
    let (expression, _) = parser.chain(None)?;
    match parser.token() {
        Token::End => Ok(Some(expression)),
        _ => Err(parser.expected("`and`, `or` or the end")),
    }
}

fn syntax(text: &str, at: usize, expected: String, found: String) -> FilterError {
    let column = super::column(text, at);
    FilterError::Syntax { text: text.to_owned(), column, expected, found }
}

/// An operand, and the qualifiers that the next bare name inherits from it.
type Operand = (Expression, Option<Qualifiers>);

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Operands joined by `and` and `or`.
    fn chain(&mut self, inherited: Option<Qualifiers>) -> Result<Operand, FilterError> {
        let (first, mut qualifiers) = self.operand(inherited, false)?;
        let mut further = Vec::new();
        while let Some(junction) = self.junction() {
            let (operand, its) = self.operand(qualifiers, true)?;
            further.push((junction, operand));
            qualifiers = its;
        }
        Ok((chained(first, further), qualifiers))
    }

    fn junction(&mut self) -> Option<Junction> {
        let junction = match self.token() {
            Token::Word("and") => Junction::And,
            Token::Word("or") => Junction::Or,
            _ => return None,
        };
        self.at += 1;
        Some(junction)
    }

    /// One operand; `bare` when it may be a name without qualifiers of its own.
    fn operand(&mut self, inherited: Option<Qualifiers>, bare: bool) -> Result<Operand, FilterError> {
        self.deeper(|parser| match parser.token().clone() {
            Token::Word("not") => {
                parser.at += 1;
                let (operand, qualifiers) = parser.operand(inherited, bare)?;
                Ok((Expression::Not(Box::new(operand)), qualifiers))
            }
            Token::Sign("(") if !parser.is_arithmetic() => parser.group(inherited),
            Token::Number(_) | Token::Sign("(" | "-") | Token::Word("len") if parser.is_arithmetic() => {
                parser.relation()
            }
            token if is_id(&token) => {
                let qualifiers = inherited.filter(|_| bare).ok_or_else(|| parser.unqualified())?;
                Ok((parser.id(qualifiers)?, Some(qualifiers)))
            }
            _ => parser.term(),
        })
    }

    /// A parenthesis around operands: bare names that inherit from outside, or a whole expression.
    fn group(&mut self, inherited: Option<Qualifiers>) -> Result<Operand, FilterError> {
        self.at += 1;
        let list = self.starts_with_id();
        let (inside, _) = match inherited {
            Some(qualifiers) if list => (self.ids(qualifiers)?, None),
            _ => self.chain(inherited)?,
        };
        self.sign(")", "`)`, `and` or `or`")?;
        Ok((inside, inherited))
    }

    /// Bare names joined by `and` and `or`.
    fn ids(&mut self, qualifiers: Qualifiers) -> Result<Expression, FilterError> {
        let first = self.id(qualifiers)?;
        let mut further = Vec::new();
        while let Some(junction) = self.junction() {
            further.push((junction, self.id(qualifiers)?));
        }
        Ok(chained(first, further))
    }

    /// A name, number or address under qualifiers, negated or parenthesised as may be.
    fn id(&mut self, qualifiers: Qualifiers) -> Result<Expression, FilterError> {
        self.deeper(|parser| match parser.token().clone() {
            Token::Word("not") => {
                parser.at += 1;
                Ok(Expression::Not(Box::new(parser.id(qualifiers)?)))
            }
            Token::Sign("(") => {
                parser.at += 1;
                let inside = parser.ids(qualifiers)?;
                parser.sign(")", "`)`, `and` or `or`")?;
                Ok(inside)
            }
            token if is_id(&token) => parser.named(qualifiers),
            _ => Err(parser.expected(qualifiers.wants())),
        })
    }

    /// A name, number or address under qualifiers.
    fn named(&mut self, qualifiers: Qualifiers) -> Result<Expression, FilterError> {
        let start = self.part();
        let id = match self.next() {
            Token::Name(name) => Id::Name(name),
            Token::Number(number) => Id::Number(number),
            Token::Mac(address) => Id::Mac(address),
            Token::Dotted(address) => match self.token() {
                Token::Sign("/") => Id::Prefix(address, self.behind_slash()?),
                Token::Word("mask") => Id::Mask(address, self.mask()?),
                _ => Id::Dotted(address),
            },
            Token::Ip6(address) => match self.token() {
                Token::Sign("/") => Id::Prefix6(address, self.behind_slash()?),
                _ => Id::Ip6(address),
            },
            _ => return Err(self.expected(qualifiers.wants())),
        };
        let part = start.until(self.last_part());
        let primitive = qualified::primitive(qualifiers, &id).map_err(|why| self.unusable(part, why))?;
        Ok(Expression::Primitive(primitive, part))
    }

    fn behind_slash(&mut self) -> Result<u32, FilterError> {
        self.at += 1;
        self.number("a prefix length")
    }

    fn mask(&mut self) -> Result<String, FilterError> {
        self.at += 1;
        match self.token().clone() {
            Token::Dotted(mask) => {
                self.at += 1;
                Ok(mask)
            }
            _ => Err(self.expected("a netmask such as 255.255.0.0")),
        }
    }

    /// What begins with a word: qualifiers and a name, a protocol, or one of the words with an own syntax.
    fn term(&mut self) -> Result<Operand, FilterError> {
        let start = self.part();
        let Token::Protocol(protocol) = *self.token() else { return self.unprefixed(None, start) };
        match self.peek(1) {
            Token::Sign("[") => self.relation(),
            Token::Word(
                "src" | "dst" | "addr1" | "addr2" | "addr3" | "addr4" | "ra" | "ta" | "host" | "net" | "port"
                | "portrange" | "proto" | "protochain" | "gateway" | "broadcast" | "multicast" | "type"
                | "subtype" | "dir",
            ) => {
                self.at += 1;
                self.unprefixed(Some(protocol), start)
            }
            _ => {
                self.at += 1;
                if let Some(why) = qualified::alone(protocol) {
                    return Err(self.unusable(start, why.to_owned()));
                }
                Ok((Expression::Primitive(Primitive::Protocol(protocol), start), None))
            }
        }
    }

    /// A term behind its protocol, if it has one.
    fn unprefixed(&mut self, protocol: Option<Protocol>, start: Part) -> Result<Operand, FilterError> {
        let Token::Word(word) = *self.token() else {
            return Err(self.expected("a primitive such as `host`, `port`, `tcp` or `len`"));
        };
        if let Some(primitive) = self.other(word, protocol)? {
            let part = start.until(self.last_part());
            return Ok((Expression::Primitive(primitive, part), None));
        }
        let qualifiers = self.qualifiers(protocol)?;
        Ok((self.id(qualifiers)?, Some(qualifiers)))
    }

    /// Direction and type, of which there is at least one.
    fn qualifiers(&mut self, protocol: Option<Protocol>) -> Result<Qualifiers, FilterError> {
        let direction = self.direction()?;
        let kind = match self.token() {
            Token::Word("host") => Some(Kind::Host),
            Token::Word("net") => Some(Kind::Net),
            Token::Word("port") => Some(Kind::Port),
            Token::Word("portrange") => Some(Kind::PortRange),
            Token::Word("proto") if direction.is_none() => Some(Kind::Proto),
            Token::Word("protochain") if direction.is_none() => Some(Kind::Protochain),
            Token::Word("gateway") if direction.is_none() => Some(Kind::Gateway),
            _ => None,
        };
        self.at += usize::from(kind.is_some());
        if direction.is_none() && kind.is_none() {
            return Err(self.expected("a primitive such as `host`, `port`, `tcp` or `len`"));
        }
        Ok(Qualifiers { protocol, direction: direction.unwrap_or_default(), kind: kind.unwrap_or_default() })
    }

    fn direction(&mut self) -> Result<Option<Direction>, FilterError> {
        let direction = match *self.token() {
            Token::Word(word @ ("src" | "dst")) => {
                self.at += 1;
                return self.both_directions(word).map(Some);
            }
            Token::Word("addr1") => Direction::Address1,
            Token::Word("addr2") => Direction::Address2,
            Token::Word("addr3") => Direction::Address3,
            Token::Word("addr4") => Direction::Address4,
            Token::Word("ra") => Direction::Receiver,
            Token::Word("ta") => Direction::Transmitter,
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(direction))
    }

    /// What follows `src` or `dst`: perhaps the other one.
    fn both_directions(&mut self, first: &'static str) -> Result<Direction, FilterError> {
        let alone = if first == "src" { Direction::Source } else { Direction::Destination };
        let direction = match self.token() {
            Token::Word("and") => Direction::Both,
            Token::Word("or") => Direction::Either,
            _ => return Ok(alone),
        };
        self.at += 1;
        let other = if first == "src" { "dst" } else { "src" };
        if *self.token() != Token::Word(other) {
            return Err(self.expected(if first == "src" { "`dst`" } else { "`src`" }));
        }
        self.at += 1;
        Ok(direction)
    }

    /// Words with an own syntax; `None` when `word` is a qualifier.
    fn other(&mut self, word: &str, protocol: Option<Protocol>) -> Result<Option<Primitive>, FilterError> {
        let with_protocol = matches!(word, "broadcast" | "multicast" | "type" | "subtype" | "dir");
        if protocol.is_some() && !with_protocol {
            return Ok(None);
        }
        if matches!(word, "byte" | "pf" | "rnr" | "srnr" | "atm" | "ss7") {
            let why = qualified::refused(word);
            return Err(self.unusable(self.part(), why.to_owned()));
        }
        let known = with_protocol
            || matches!(
                word,
                "less"
                    | "greater"
                    | "inbound"
                    | "outbound"
                    | "ifindex"
                    | "vlan"
                    | "mpls"
                    | "pppoed"
                    | "pppoes"
                    | "geneve"
                    | "llc"
            );
        if !known {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some(match word {
            "broadcast" => Primitive::Broadcast(protocol),
            "multicast" => Primitive::Multicast(protocol),
            "type" => self.frame_type()?,
            "subtype" => self.frame_subtype()?,
            "dir" => Primitive::FrameDirection(self.frame_name(
                names::FRAME_DIRECTIONS,
                "a direction of 802.11: nods, tods, fromds or dstods",
            )?),
            "less" => Primitive::LengthAtMost(self.number("a length in bytes")?),
            "greater" => Primitive::LengthAtLeast(self.number("a length in bytes")?),
            "inbound" => Primitive::Inbound,
            "outbound" => Primitive::Outbound,
            "ifindex" => Primitive::InterfaceIndex(self.number("an interface's index")?),
            "vlan" => Primitive::Vlan(self.optional_number(0xfff)?),
            "mpls" => Primitive::Mpls(self.optional_number(0xf_ffff)?),
            "pppoed" => Primitive::PppoeDiscovery,
            "pppoes" => Primitive::PppoeSession(self.optional_number(0xffff)?),
            "geneve" => Primitive::Geneve(self.optional_number(0xff_ffff)?),
            _ => self.llc()?,
        }))
    }

    fn frame_type(&mut self) -> Result<Primitive, FilterError> {
        let kind = self.frame_name(names::FRAME_TYPES, "a type of 802.11 frames: mgt, ctl or data")?;
        if kind & !0x0c != 0 {
            return Err(self.unusable(self.last_part(), "a type is 0x00, 0x04, 0x08 or 0x0c".to_owned()));
        }
        if *self.token() != Token::Word("subtype") {
            return Ok(Primitive::FrameType { value: kind, mask: 0x0c });
        }
        self.at += 1;
        let of_kind: Vec<_> =
            names::FRAME_SUBTYPES.iter().copied().filter(|known| known.1 & 0x0c == kind).collect();
        let subtype = self.frame_name(&of_kind, "a subtype of these 802.11 frames")?;
        if subtype & !0xf0 != 0 && subtype & 0x0c != kind {
            return Err(
                self.unusable(self.last_part(), "a subtype is a multiple of 16 up to 0xf0".to_owned())
            );
        }
        Ok(Primitive::FrameType { value: kind | subtype, mask: 0xfc })
    }

    fn frame_subtype(&mut self) -> Result<Primitive, FilterError> {
        let expected = "a subtype of 802.11 frames such as beacon";
        let Token::Name(name) = self.token().clone() else { return Err(self.expected(expected)) };
        let value = names::number(names::FRAME_SUBTYPES, &name).ok_or_else(|| self.expected(expected))?;
        self.at += 1;
        Ok(Primitive::FrameType { value, mask: 0xfc })
    }

    /// A number, or a name that stands for one in `table`.
    fn frame_name(&mut self, table: &[(&str, u32)], expected: &'static str) -> Result<u32, FilterError> {
        let value = match self.token() {
            Token::Number(number) => Some(*number),
            Token::Name(name) => names::number(table, name),
            _ => None,
        };
        let value = value.ok_or_else(|| self.expected(expected))?;
        self.at += 1;
        Ok(value)
    }

    fn llc(&mut self) -> Result<Primitive, FilterError> {
        let name = match self.token() {
            Token::Name(name) => name.as_str(),
            Token::Word("rnr") => "rnr",
            _ => return Ok(Primitive::Llc(None)),
        };
        let control = names::LLC_CONTROLS.iter().find(|known| known.0 == name);
        let control = control.ok_or_else(|| {
            self.expected(
                "a type of 802.2 frames: i, s, u, rr, rnr, rej, ui, ua, disc, sabme, test, xid or frmr",
            )
        })?;
        let primitive = Primitive::Llc(Some((control.1, control.2)));
        self.at += 1;
        Ok(primitive)
    }

    /// A number up to `most`, when one follows; it may stand in parentheses.
    fn optional_number(&mut self, most: u32) -> Result<Option<u32>, FilterError> {
        let opened = (0..).take_while(|ahead| *self.peek(*ahead) == Token::Sign("(")).count();
        let Token::Number(number) = *self.peek(opened) else { return Ok(None) };
        self.at += opened + 1;
        for _ in 0..opened {
            self.sign(")", "`)`")?;
        }
        if number > most {
            return Err(self.unusable(self.last_part(), format!("the largest that fits there is {most}")));
        }
        Ok(Some(number))
    }

    fn relation(&mut self) -> Result<Operand, FilterError> {
        let start = self.part();
        let left = self.arithmetic(0)?;
        let relation = match self.token() {
            Token::Sign("=") => Relation::Equal,
            Token::Sign("!=") => Relation::NotEqual,
            Token::Sign(">") => Relation::Greater,
            Token::Sign(">=") => Relation::GreaterOrEqual,
            Token::Sign("<") => Relation::Less,
            Token::Sign("<=") => Relation::LessOrEqual,
            _ => return Err(self.expected("an operator or one of = != < <= > >=")),
        };
        self.at += 1;
        let right = self.arithmetic(0)?;
        let part = start.until(self.last_part());
        Ok((Expression::Primitive(Primitive::Relation { left, relation, right }, part), None))
    }

    /// Operands joined by operators that bind at least as strongly as `weakest`.
    fn arithmetic(&mut self, weakest: u8) -> Result<Arithmetic, FilterError> {
        self.deeper(|parser| {
            let start = parser.part();
            let mut left = parser.factor()?;
            let mut operators = 0;
            while let Some((operator, beyond)) = parser.operator(weakest) {
                operators += 1;
                if operators > DEEPEST {
                    return Err(parser.expected(&format!("at most {DEEPEST} operators in a row")));
                }
                parser.at += 1;
                let right = parser.arithmetic(beyond)?;
                let part = start.until(parser.last_part());
                if let Some(why) = qualified::undefined(operator, &right) {
                    return Err(parser.unusable(part, why.to_owned()));
                }
                left = Arithmetic::Operation { operator, left: Box::new(left), right: Box::new(right) };
            }
            Ok(left)
        })
    }

    /// The operator that follows, and the weakest operator in its right operand.
    ///
    /// `%` and `^` have no precedence in libpcap's grammar: they take the operand before them and all that follows.
    fn operator(&self, weakest: u8) -> Option<(Operator, u8)> {
        let (operator, binds) = match self.token() {
            Token::Sign("|") => (Operator::Or, 1),
            Token::Sign("&") => (Operator::And, 2),
            Token::Sign("<<") => (Operator::ShiftLeft, 3),
            Token::Sign(">>") => (Operator::ShiftRight, 3),
            Token::Sign("+") => (Operator::Add, 4),
            Token::Sign("-") => (Operator::Subtract, 4),
            Token::Sign("*") => (Operator::Multiply, 5),
            Token::Sign("/") => (Operator::Divide, 5),
            Token::Sign("%") => return Some((Operator::Remainder, 0)),
            Token::Sign("^") => return Some((Operator::Xor, 0)),
            _ => return None,
        };
        (binds >= weakest).then_some((operator, binds + 1))
    }

    fn factor(&mut self) -> Result<Arithmetic, FilterError> {
        const UNARY: u8 = 6;
        match self.token().clone() {
            Token::Number(number) => {
                self.at += 1;
                Ok(Arithmetic::Number(number))
            }
            Token::Word("len") => {
                self.at += 1;
                Ok(Arithmetic::Length)
            }
            Token::Sign("-") => {
                self.at += 1;
                Ok(Arithmetic::Negative(Box::new(self.arithmetic(UNARY)?)))
            }
            Token::Sign("(") => {
                self.at += 1;
                let inside = self.arithmetic(0)?;
                self.sign(")", "an operator or `)`")?;
                Ok(inside)
            }
            Token::Protocol(protocol) => self.field(protocol),
            _ => Err(self.expected("a number, `len`, or a field such as ip[0]")),
        }
    }

    /// `protocol[index]` or `protocol[index:size]`.
    fn field(&mut self, protocol: Protocol) -> Result<Arithmetic, FilterError> {
        let start = self.part();
        self.at += 1;
        self.sign("[", "`[` and the offset of a field")?;
        let index = Box::new(self.arithmetic(0)?);
        let mut size = FieldSize::One;
        if *self.token() == Token::Sign(":") {
            self.at += 1;
            size = match self.number("a size of 1, 2 or 4")? {
                1 => FieldSize::One,
                2 => FieldSize::Two,
                4 => FieldSize::Four,
                _ => return Err(self.unusable(self.last_part(), "a field has 1, 2 or 4 bytes".to_owned())),
            };
        }
        self.sign("]", "`]`")?;
        let part = start.until(self.last_part());
        match qualified::unreadable(protocol) {
            Some(why) => Err(self.unusable(part, why.to_owned())),
            None => Ok(Arithmetic::Field { protocol, index, size }),
        }
    }

    /// Whether what starts here, at a number or a parenthesis, is an operand of a comparison: told by what follows it.
    fn is_arithmetic(&self) -> bool {
        let (mut open, mut ahead) = (0_usize, 0);
        loop {
            match self.peek(ahead) {
                Token::Sign("(") => open += 1,
                Token::Sign(")") => open = open.saturating_sub(1),
                Token::End => return false,
                Token::Sign("-") | Token::Word("len") if ahead == 0 => return true,
                _ => {}
            }
            ahead += 1;
            if open == 0 {
                break;
            }
        }
        is_operator(self.peek(ahead))
    }

    /// Whether the next operand, behind any `not`, is a bare name.
    fn starts_with_id(&self) -> bool {
        let skipped = (0..)
            .take_while(|ahead| matches!(self.peek(*ahead), Token::Word("not") | Token::Sign("(")))
            .count();
        is_id(self.peek(skipped))
            && !(matches!(self.peek(skipped), Token::Number(_)) && is_operator(self.peek(skipped + 1)))
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        if self.depth >= DEEPEST {
            return Err(self.expected(&format!("at most {DEEPEST} levels of nesting")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn token(&self) -> &Token {
        self.peek(0)
    }

    fn peek(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |placed| &placed.0)
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at += 1;
        token
    }

    fn part(&self) -> Part {
        let end = Part { start: self.text.len(), end: self.text.len() };
        self.tokens.get(self.at).map_or(end, |placed| placed.1)
    }

    fn last_part(&self) -> Part {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(Part::default(), |placed| placed.1)
    }

    fn number(&mut self, expected: &str) -> Result<u32, FilterError> {
        let Token::Number(number) = *self.token() else { return Err(self.expected(expected)) };
        self.at += 1;
        Ok(number)
    }

    fn sign(&mut self, sign: &'static str, expected: &str) -> Result<(), FilterError> {
        if *self.token() != Token::Sign(sign) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    #[cold]
    fn expected(&self, expected: &str) -> FilterError {
        let part = self.part();
        let found = match self.text.get(part.start..part.end) {
            Some("") | None => "the end".to_owned(),
            Some(text) => format!("{text:?}"),
        };
        syntax(self.text, part.start, expected.to_owned(), found)
    }

    #[cold]
    fn unqualified(&self) -> FilterError {
        self.expected("what kind of thing this is: `host`, `net`, `port`, `proto` or the like before it")
    }

    #[cold]
    fn unusable(&self, part: Part, why: String) -> FilterError {
        super::unusable(self.text, part, why)
    }
}

fn chained(first: Expression, further: Vec<(Junction, Expression)>) -> Expression {
    if further.is_empty() { first } else { Expression::Chain(Box::new(first), further) }
}

/// Whether the token names a host, a net, a port or a protocol.
fn is_id(token: &Token) -> bool {
    matches!(token, Token::Name(_) | Token::Number(_) | Token::Dotted(_) | Token::Ip6(_) | Token::Mac(_))
}

/// Whether the token joins numbers: computes or compares.
fn is_operator(token: &Token) -> bool {
    let Token::Sign(sign) = token else { return false };
    !matches!(*sign, "(" | ")" | "[" | "]" | ":")
}
