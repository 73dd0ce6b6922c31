//! This file keeps log frames in a ring until they are carried to the console. One that lacks room
//! takes that of the oldest, which go as a whole and are counted.

/// Bytes in front of a frame: its length.
const LENGTH_BYTES: usize = 2;

/// The ring.
#[derive(Debug)]
pub struct Frames<const BYTES: usize> {
    room: [u8; BYTES],
    /// Where the oldest frame begins.
    begin: usize,
    /// Bytes of whole frames.
    whole: usize,
    /// Bytes of the frame in the making, its length included; 0: none.
    open: usize,
    /// The frame in the making is longer than the ring.
    too_long: bool,
    /// Frames that went without having been read.
    lost: u32,
}

impl<const BYTES: usize> Frames<BYTES> {
    /// An empty ring.
    pub const fn new() -> Self {
        const {
            assert!(
                BYTES > LENGTH_BYTES && BYTES <= 65_535,
                "lengths are two bytes"
            )
        };
        Self {
            room: [0; BYTES],
            begin: 0,
            whole: 0,
            open: 0,
            too_long: false,
            lost: 0,
        }
    }

    /// Begins a frame.
    pub fn open(&mut self) {
        self.open = 0;
        self.too_long = false;
        // Its length is known in the end.
        self.push(&[0; LENGTH_BYTES]);
    }

    /// Adds to the frame in the making.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            while self.whole.saturating_add(self.open) >= BYTES {
                if !self.evict() {
                    self.too_long = true;
                    return;
                }
            }
            let at = self.whole.saturating_add(self.open);
            self.put(at, *byte);
            self.open = self.open.saturating_add(1);
        }
    }

    /// The frame is whole.
    pub fn close(&mut self) {
        let open = core::mem::take(&mut self.open);
        if self.too_long {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let length = u16::try_from(open.saturating_sub(LENGTH_BYTES)).unwrap_or(0);
        let [low, high] = length.to_le_bytes();
        self.put(self.whole, low);
        self.put(self.whole.saturating_add(1), high);
        self.whole = self.whole.saturating_add(open);
    }

    /// Takes the oldest frame; its bytes are given to `to`, one by one. Whether there was one.
    pub fn take(&mut self, mut to: impl FnMut(u8)) -> bool {
        let Some(length) = self.oldest() else {
            return false;
        };
        for offset in 0..length {
            to(self.get(LENGTH_BYTES.saturating_add(offset)));
        }
        self.drop_oldest(length);
        true
    }

    /// Frames that were lost since this was asked.
    pub fn lost(&mut self) -> u32 {
        core::mem::take(&mut self.lost)
    }

    fn evict(&mut self) -> bool {
        let Some(length) = self.oldest() else {
            return false;
        };
        self.drop_oldest(length);
        self.lost = self.lost.saturating_add(1);
        true
    }

    fn oldest(&self) -> Option<usize> {
        let length = u16::from_le_bytes([self.get(0), self.get(1)]);
        (self.whole > 0).then_some(usize::from(length))
    }

    fn drop_oldest(&mut self, length: usize) {
        let bytes = length.saturating_add(LENGTH_BYTES).min(self.whole);
        self.begin = self.place(bytes);
        self.whole = self.whole.saturating_sub(bytes);
    }

    /// Where the byte lies that is so far behind the oldest frame's first.
    fn place(&self, offset: usize) -> usize {
        let at = self.begin.saturating_add(offset);
        at.checked_rem(BYTES).unwrap_or(0)
    }

    fn get(&self, offset: usize) -> u8 {
        self.room.get(self.place(offset)).copied().unwrap_or(0)
    }

    fn put(&mut self, offset: usize, byte: u8) {
        let place = self.place(offset);
        if let Some(room) = self.room.get_mut(place) {
            *room = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log<const BYTES: usize>(frames: &mut Frames<BYTES>, bytes: &[u8]) {
        frames.open();
        // As a logger does: in pieces.
        for piece in bytes.chunks(3) {
            frames.push(piece);
        }
        frames.close();
    }

    /// The oldest frame's bytes.
    fn taken<const BYTES: usize>(frames: &mut Frames<BYTES>) -> Option<([u8; 16], usize)> {
        let (mut bytes, mut count) = ([0; 16], 0);
        let found = frames.take(|byte| {
            bytes[count] = byte;
            count += 1;
        });
        found.then_some((bytes, count))
    }

    fn is_next<const BYTES: usize>(frames: &mut Frames<BYTES>, wanted: &[u8]) {
        let (bytes, count) = taken(frames).expect("a frame");
        assert_eq!(&bytes[..count], wanted);
    }

    #[test]
    fn frames_come_out_whole_and_in_order_all_around_the_ring() {
        let mut frames = Frames::<32>::new();
        for round in 0..100_u8 {
            log(&mut frames, &[round; 7]);
            log(&mut frames, &[]);
            log(&mut frames, &[round, 1]);
            is_next(&mut frames, &[round; 7]);
            is_next(&mut frames, &[]);
            is_next(&mut frames, &[round, 1]);
            assert_eq!(taken(&mut frames), None);
        }
        assert_eq!(frames.lost(), 0);
    }

    #[test]
    fn a_frame_without_room_takes_that_of_the_oldest_which_go_as_a_whole() {
        let mut frames = Frames::<32>::new();
        for number in 0..10 {
            log(&mut frames, &[number; 8]);
        }
        // Three of ten bytes fit.
        for number in 7..10 {
            is_next(&mut frames, &[number; 8]);
        }
        assert_eq!(taken(&mut frames), None);
        assert_eq!(frames.lost(), 7);
        assert_eq!(frames.lost(), 0);
    }

    #[test]
    fn one_that_is_longer_than_the_ring_is_counted_and_nothing_else_is_hurt() {
        let mut frames = Frames::<16>::new();
        log(&mut frames, &[1; 4]);
        log(&mut frames, &[2; 15]);
        log(&mut frames, &[3; 14]);
        is_next(&mut frames, &[3; 14]);
        assert_eq!(taken(&mut frames), None);
        assert_eq!(frames.lost(), 2);
    }
}
