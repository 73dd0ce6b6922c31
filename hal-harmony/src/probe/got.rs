//! This file holds what a row came to, and writes it in decimal.

use embedded_io::Write;

/// Numbers of one row at most.
const NUMBER_COUNT_MAX: usize = 8;

/// What a kernel answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    numbers: [i64; NUMBER_COUNT_MAX],
    count: usize,
}

impl Got {
    /// Notes one number more; what there is no room for shows as a row that is too short.
    pub fn push(&mut self, number: i64) {
        if let Some(place) = self.numbers.get_mut(self.count) {
            *place = number;
            self.count = self.count.saturating_add(1);
        }
    }

    /// All of them.
    pub fn numbers(&self) -> &[i64] {
        self.numbers.get(..self.count).unwrap_or(&[])
    }
}

impl<const N: usize> From<[i64; N]> for Got {
    fn from(numbers: [i64; N]) -> Self {
        let mut got = Self::default();
        for number in numbers {
            got.push(number);
        }
        got
    }
}

impl From<i64> for Got {
    fn from(number: i64) -> Self {
        Self::from([number])
    }
}

/// Writes numbers with commas between them.
pub fn write<W: Write>(to: &mut W, numbers: &[i64]) -> Result<(), W::Error> {
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            to.write_all(b",")?;
        }
        decimal(to, *number)?;
    }
    Ok(())
}

fn decimal<W: Write>(to: &mut W, number: i64) -> Result<(), W::Error> {
    let mut digits = [0; 20];
    let mut rest = number.unsigned_abs();
    let mut count = 0_usize;
    for digit in digits.iter_mut().rev() {
        // Below ten, so a byte.
        let [low, ..] = (rest % 10).to_le_bytes();
        *digit = low.wrapping_add(b'0');
        rest /= 10;
        count = count.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        to.write_all(b"-")?;
    }
    let begin = digits.len().saturating_sub(count);
    to.write_all(digits.get(begin..).unwrap_or(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let mut room = [b' '; 48];
        let mut to = &mut room[..];
        let written = write(&mut to, &[0, 7, -11, 255, i64::MIN]);
        assert_eq!(written, Ok(()));
        let text = core::str::from_utf8(&room).map(str::trim_end);
        assert_eq!(text, Ok("0,7,-11,255,-9223372036854775808"));
    }
}
