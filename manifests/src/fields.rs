//! This file holds the keys of one table after they were read: typed values with their places.

use crate::diagnostic::Span;
use crate::schema::Section;
use crate::value::LimitPair;

/// The file number of values that come from the schema.
pub const BUILT_IN: usize = usize::MAX;

/// Something and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The thing.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Located<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A user or group as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By name.
    Name(String),
    /// By number.
    Number(u32),
}

/// A value of the type that its key has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Texts, names, words, paths.
    Text(String),
    /// Whole numbers.
    Number(i64),
    /// true or false.
    Boolean(bool),
    /// Microseconds; `None` is "none".
    Duration(Option<u64>),
    /// Permission bits.
    Mode(u16),
    /// Bytes.
    Size(u64),
    /// A resource limit.
    Limit(LimitPair),
    /// A signal's number.
    Signal(u8),
    /// A user or group.
    Account(Account),
    /// An array.
    List(Vec<Located<Self>>),
    /// An inline table.
    Table(Fields),
    /// Keys of the user's own.
    Free(Vec<(Located<String>, Located<String>)>),
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The table itself.
    Itself,
    /// `[defaults.KIND]`.
    Defaults,
    /// The schema.
    Schema,
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Located<Value>,
    /// Who said it.
    pub by: By,
}

/// All keys of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Which table it is.
    pub section: Section,
    /// Its header.
    pub span: Span,
    /// The keys in the order of the file.
    pub entries: Vec<Field>,
    /// Keys whose values were refused; enough was said of them.
    pub refused: Vec<&'static str>,
}

impl Fields {
    /// Takes over what is not said here.
    pub fn complete(&mut self, from: &Self, by: By) {
        for field in &from.entries {
            if self.field(field.name).is_none() {
                self.entries.push(Field {
                    by,
                    ..field.clone()
                });
            }
        }
    }

    /// The key of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.entries.iter().find(|field| field.name == name)
    }

    /// Whether the key was not written at all.
    #[must_use]
    pub fn lacks(&self, name: &str) -> bool {
        self.field(name).is_none() && !self.refused.contains(&name)
    }

    /// The key of that name if the table itself has it.
    #[must_use]
    pub fn written(&self, name: &str) -> Option<&Field> {
        self.field(name).filter(|field| field.by == By::Itself)
    }

    /// Where the value stands; the table's header if there is none.
    #[must_use]
    pub fn span_of(&self, name: &str) -> Span {
        match self.field(name) {
            Some(field) if field.value.span.file != BUILT_IN => field.value.span,
            _ => self.span,
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.field(name).map(|field| &field.value.value)
    }

    /// A text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Located<String>> {
        match &self.field(name)?.value {
            Located {
                value: Value::Text(text),
                span,
            } => Some(Located::new(text.clone(), *span)),
            _ => None,
        }
    }

    /// A word; empty if there is none.
    #[must_use]
    pub fn word(&self, name: &str) -> &str {
        match self.value(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A list of texts.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<Located<String>> {
        let text = |item: &Located<Value>| match &item.value {
            Value::Text(text) => Some(Located::new(text.clone(), item.span)),
            _ => None,
        };
        self.list(name).iter().filter_map(text).collect()
    }

    /// A list.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Located<Value>] {
        match self.value(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// A number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A boolean; false if there is none.
    #[must_use]
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Boolean(true)))
    }

    /// Microseconds; `None` for "none" or nothing.
    #[must_use]
    pub fn duration(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Duration(us)) => *us,
            _ => None,
        }
    }

    /// Permission bits.
    #[must_use]
    pub fn mode(&self, name: &str) -> Option<u16> {
        match self.value(name) {
            Some(Value::Mode(mode)) => Some(*mode),
            _ => None,
        }
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Size(bytes)) => Some(*bytes),
            _ => None,
        }
    }

    /// A signal.
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<u8> {
        match self.value(name) {
            Some(Value::Signal(number)) => Some(*number),
            _ => None,
        }
    }

    /// A user or group.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<Located<Account>> {
        match &self.field(name)?.value {
            Located {
                value: Value::Account(account),
                span,
            } => Some(Located::new(account.clone(), *span)),
            _ => None,
        }
    }

    /// An inline table.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Self> {
        match self.value(name) {
            Some(Value::Table(fields)) => Some(fields),
            _ => None,
        }
    }

    /// Keys of the user's own.
    #[must_use]
    pub fn free(&self, name: &str) -> &[(Located<String>, Located<String>)] {
        match self.value(name) {
            Some(Value::Free(entries)) => entries,
            _ => &[],
        }
    }
}
