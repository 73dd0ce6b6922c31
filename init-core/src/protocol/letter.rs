//! This file is what services and init tell each other where there are no descriptors: letters of
//! one fixed size, because a kernel may not tell how long a message was.
//!
//! Every 64 bytes can be read: they are a letter, or it is said what is wrong with them. A letter
//! never says whom it is from; only the kernel does. Frames of the control protocol are longer and
//! go in pieces.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | kind |
//! | 2 | bytes of the content, at most 56 |
//! | 3 | 0 |
//! | 4, 5 | of a piece: bytes of the whole, least significant first; else 0 |
//! | 6, 7 | of a piece: where in the whole it begins; else 0 |
//! | 8.. | the content, and zeros |

/// Bytes of every letter.
pub const LETTER_BYTES: usize = 64;

/// Bytes of a letter's content.
pub const CONTENT_BYTES_MAX: usize = LETTER_BYTES - HEAD_BYTES;

const HEAD_BYTES: usize = 8;

const VERSION: u8 = 1;

/// A letter as it is sent.
pub type Sheet = [u8; LETTER_BYTES];

/// A part of something longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'s> {
    /// Bytes of the whole.
    pub whole: u16,
    /// Where in it this begins.
    pub begin: u16,
    /// The part.
    pub content: &'s [u8],
}

/// What can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter<'s> {
    /// A service: it is ready.
    Ready,
    /// A service: it gets on. Whoever waits for the answer is told whether to go on.
    Heartbeat,
    /// A service: it is about to end by itself.
    Stopping,
    /// A service: a line for the log.
    Log(&'s [u8]),
    /// A service that may control: a part of a frame of the control protocol.
    Request(Piece<'s>),
    /// A service that may control: it wants the part of the answer that begins there.
    Fetch(u16),
    /// Answer: nothing is asked of the service.
    GoOn,
    /// Answer: it is asked to stop.
    Stop,
    /// Answer: a part of the answer to a frame.
    Response(Piece<'s>),
    /// Answer: there is no answer to the frame yet. It is to be asked for again.
    NotYet,
    /// Answer: it may not, or not now; nothing was done.
    Refused,
}

/// Why 64 bytes are no letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Of another version.
    Version(u8),
    /// Of no kind that there is.
    Kind(u8),
    /// More content than there is room for, or than the kind has.
    Length(u8),
    /// Numbers where there are none, or a piece that reaches beyond its whole.
    Place,
    /// Something follows the content.
    Rest,
}

mod kind {
    pub const READY: u8 = 1;
    pub const HEARTBEAT: u8 = 2;
    pub const STOPPING: u8 = 3;
    pub const LOG: u8 = 4;
    pub const REQUEST: u8 = 5;
    pub const FETCH: u8 = 6;
    pub const GO_ON: u8 = 128;
    pub const STOP: u8 = 129;
    pub const RESPONSE: u8 = 130;
    pub const NOT_YET: u8 = 131;
    pub const REFUSED: u8 = 132;
}

impl<'s> Letter<'s> {
    /// Writes it. Content beyond the room is left out: who has more sends pieces.
    pub fn sheet(&self) -> Sheet {
        let none: &[u8] = &[];
        let (kind, whole, begin, content) = match *self {
            Self::Ready => (kind::READY, 0, 0, none),
            Self::Heartbeat => (kind::HEARTBEAT, 0, 0, none),
            Self::Stopping => (kind::STOPPING, 0, 0, none),
            Self::Log(text) => (kind::LOG, 0, 0, text),
            Self::Request(piece) => (kind::REQUEST, piece.whole, piece.begin, piece.content),
            Self::Fetch(begin) => (kind::FETCH, 0, begin, none),
            Self::GoOn => (kind::GO_ON, 0, 0, none),
            Self::Stop => (kind::STOP, 0, 0, none),
            Self::Response(piece) => (kind::RESPONSE, piece.whole, piece.begin, piece.content),
            Self::NotYet => (kind::NOT_YET, 0, 0, none),
            Self::Refused => (kind::REFUSED, 0, 0, none),
        };
        let length = content.len().min(CONTENT_BYTES_MAX);
        let ([whole_low, whole_high], [begin_low, begin_high]) =
            (whole.to_le_bytes(), begin.to_le_bytes());
        let head = [
            VERSION,
            kind,
            // At most 56.
            u8::try_from(length).unwrap_or_default(),
            0,
            whole_low,
            whole_high,
            begin_low,
            begin_high,
        ];
        let mut sheet = [0; LETTER_BYTES];
        let bytes = head.iter().chain(content.iter().take(length));
        for (to, from) in sheet.iter_mut().zip(bytes) {
            *to = *from;
        }
        sheet
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(sheet: &'s Sheet) -> Result<Self, Unreadable> {
        let (
            [
                version,
                kind,
                length,
                zero,
                whole_low,
                whole_high,
                begin_low,
                begin_high,
            ],
            rest,
        ) = split(sheet);
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let Some((content, rest)) = rest.split_at_checked(length.into()) else {
            return Err(Unreadable::Length(length));
        };
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Unreadable::Rest);
        }
        let piece = Piece {
            whole: u16::from_le_bytes([whole_low, whole_high]),
            begin: u16::from_le_bytes([begin_low, begin_high]),
            content,
        };
        if zero != 0 {
            return Err(Unreadable::Place);
        }
        Self::of_kind(kind, length, piece)
    }

    fn of_kind(kind: u8, length: u8, piece: Piece<'s>) -> Result<Self, Unreadable> {
        let plain = |letter| match (length, piece.whole, piece.begin) {
            (0, 0, 0) => Ok(letter),
            (0, ..) => Err(Unreadable::Place),
            _ => Err(Unreadable::Length(length)),
        };
        match kind {
            kind::READY => plain(Self::Ready),
            kind::HEARTBEAT => plain(Self::Heartbeat),
            kind::STOPPING => plain(Self::Stopping),
            kind::LOG if (piece.whole, piece.begin) == (0, 0) => Ok(Self::Log(piece.content)),
            kind::LOG => Err(Unreadable::Place),
            kind::REQUEST => piece.checked().map(Self::Request),
            kind::FETCH if piece.whole != 0 => Err(Unreadable::Place),
            kind::FETCH if length != 0 => Err(Unreadable::Length(length)),
            kind::FETCH => Ok(Self::Fetch(piece.begin)),
            kind::GO_ON => plain(Self::GoOn),
            kind::STOP => plain(Self::Stop),
            kind::RESPONSE => piece.checked().map(Self::Response),
            kind::NOT_YET => plain(Self::NotYet),
            kind::REFUSED => plain(Self::Refused),
            other => Err(Unreadable::Kind(other)),
        }
    }
}

impl<'s> Piece<'s> {
    /// The piece of `whole` that begins there, as much as a letter holds; `None` at its end, beyond
    /// it, and for what no piece can count.
    pub fn of(whole: &'s [u8], begin: u16) -> Option<Self> {
        let rest = whole.get(usize::from(begin)..)?;
        let content = rest.get(..CONTENT_BYTES_MAX).unwrap_or(rest);
        let length = u16::try_from(whole.len()).ok()?;
        (!content.is_empty()).then_some(Self {
            whole: length,
            begin,
            content,
        })
    }

    /// Where the next one begins.
    pub fn end(&self) -> u16 {
        let length = u16::try_from(self.content.len()).unwrap_or(u16::MAX);
        self.begin.saturating_add(length)
    }

    /// Whether it is the last one.
    pub fn is_last(&self) -> bool {
        self.end() >= self.whole
    }

    fn checked(self) -> Result<Self, Unreadable> {
        let length = u16::try_from(self.content.len()).unwrap_or(u16::MAX);
        match self.begin.checked_add(length) {
            _ if length == 0 => Err(Unreadable::Length(0)),
            Some(end) if end <= self.whole => Ok(self),
            Some(_) | None => Err(Unreadable::Place),
        }
    }
}

/// The head and what follows it.
fn split(sheet: &Sheet) -> ([u8; HEAD_BYTES], &[u8]) {
    let (head, rest) = sheet.split_first_chunk().unwrap_or((&[0; HEAD_BYTES], &[]));
    (*head, rest)
}
