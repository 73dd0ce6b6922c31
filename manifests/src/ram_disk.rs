//! This file knows of RAM disks: where a board has room for one, and which product wants it.

use crate::board::{Abi, Board, PAGE_BYTES_MIN};
use crate::diagnostic::{Diagnostic, Id};
use crate::fields::Fields;
use serde::Deserialize;

/// Memory that nobody uses, and into which something is loaded before the kernel starts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RamDisk {
    /// Its address, that of a page.
    pub address: u64,
    /// How large it may be: whole pages, 32 MiB at most.
    pub kib: u32,
}

/// The HAL's room for one.
const KIB_MAX: u32 = 32 << 10;

impl RamDisk {
    /// Why a board with this kernel cannot have it.
    pub(crate) fn fault(&self, abi: Abi) -> Option<&'static str> {
        let page_bytes = u64::from(PAGE_BYTES_MIN);
        let bytes = u64::from(self.kib) << 10;
        let is_paged = self.address.is_multiple_of(page_bytes) && bytes.is_multiple_of(page_bytes);
        match (abi, is_paged, self.kib) {
            (Abi::Linux | Abi::Library, ..) => {
                Some("a RAM disk is for boards with abi = \"oh-tee\"")
            }
            (Abi::OhTee, false, _) => Some("a RAM disk is of whole pages"),
            (Abi::OhTee, true, 1..=KIB_MAX) => None,
            (Abi::OhTee, true, _) => Some("a RAM disk has 4 KiB to 32 MiB"),
        }
    }
}

/// Where the RAM disk lies that has the programs, and how many bytes it may have; `None`: they lie
/// in the image.
pub(crate) fn place(
    product: &Fields,
    board: &Board,
    problems: &mut Vec<Diagnostic>,
) -> Option<(u64, u64)> {
    if !product.boolean("ram-disk") {
        return None;
    }
    if board.ram_disk.is_none() {
        let message = format!("board `{}` has no place for a RAM disk", board.name);
        let span = product.span_of("ram-disk");
        let problem = Diagnostic::new(Id::WrongBoard, span, message);
        problems.push(problem.help("write ram-disk = false"));
    }
    let place = board.ram_disk.as_ref()?;
    Some((place.address, u64::from(place.kib) << 10))
}
