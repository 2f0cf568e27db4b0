//! Reads boxes. Everything that is read may be torn, damaged or made to hurt: lengths are checked against what is
//! there, nothing recurses, and every list has a limit.

pub(crate) mod fragment;
pub(crate) mod init;
pub mod progressive;

use bytes::Bytes;

use crate::error::ReadError;
use crate::sample::UserData;

/// Most children of one box that anything is looked for in.
const CHILDREN_MAX: usize = 1024;

/// The head of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoxHead {
    pub kind: [u8; 4],
    pub header_bytes: u64,
    /// Of the whole box; `None` where it reaches to the end of the file.
    pub bytes: Option<u64>,
}

/// Reads a box's head out of its first 16 bytes (8 are enough for most). `None` where more bytes are needed.
pub fn box_head(bytes: &[u8]) -> Result<Option<BoxHead>, ReadError> {
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let Some((kind, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let (header_bytes, size) = match u32::from_be_bytes(*size) {
        0 => (8, None),
        1 => match rest.first_chunk::<8>() {
            Some(large) => (16, Some(u64::from_be_bytes(*large))),
            None => return Ok(None),
        },
        size => (8, Some(u64::from(size))),
    };
    if size.is_some_and(|size| size < header_bytes) {
        return Err(ReadError::Malformed { what: "size of a box" });
    }
    Ok(Some(BoxHead { kind: *kind, header_bytes, bytes: size }))
}

/// A box at the top level of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopBox<'a> {
    pub kind: [u8; 4],
    /// Of the box in the file.
    pub offset: u64,
    pub header_bytes: u64,
    /// Of the whole box; `None` where it reaches to the end of the file.
    pub bytes: Option<u64>,
    /// The box without its head; `None` where it reaches past what was handed in.
    pub body: Option<&'a [u8]>,
}

/// Walks the boxes of `bytes`, which stand at `offset` in their file. The last one given may be cut; what follows
/// it is not looked at.
pub const fn scan(bytes: &[u8], offset: u64) -> Scan<'_> {
    Scan { rest: Some(bytes), offset }
}

/// Iterator of [`scan`].
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    rest: Option<&'a [u8]>,
    offset: u64,
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<TopBox<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rest.take()?;
        let head = match box_head(bytes) {
            Ok(head) => head?,
            Err(error) => return Some(Err(error)),
        };
        let offset = self.offset;
        let mut body = None;
        if let Some(size) = head.bytes
            && let Some((whole, behind)) =
                usize::try_from(size).ok().and_then(|size| bytes.split_at_checked(size))
        {
            body = Some(&whole[head.header_bytes as usize..]);
            self.rest = Some(behind);
            self.offset = offset.saturating_add(size);
        }
        let BoxHead { kind, header_bytes, bytes } = head;
        Some(Ok(TopBox { kind, offset, header_bytes, bytes, body }))
    }
}

/// The children of a box whose body is whole.
#[derive(Clone, Debug)]
pub(crate) struct Children<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Children<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body, left: CHILDREN_MAX }
    }

    /// The body of the first child of this kind.
    pub(crate) fn find(self, kind: &[u8; 4]) -> Result<Option<&'a [u8]>, ReadError> {
        for child in self {
            let (found, body) = child?;
            if found == *kind {
                return Ok(Some(body));
            }
        }
        Ok(None)
    }

    pub(crate) fn expect(self, kind: &[u8; 4], what: &'static str) -> Result<&'a [u8], ReadError> {
        self.find(kind)?.ok_or(ReadError::Missing { what })
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<([u8; 4], &'a [u8]), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Fewer than eight bytes behind the last child are the null terminator of some writers.
        if self.rest.len() < 8 {
            return None;
        }
        if self.left == 0 {
            self.rest = &[];
            return Some(Err(ReadError::TooMany { what: "boxes in a box" }));
        }
        self.left -= 1;
        let step = box_head(self.rest).and_then(|head| {
            let head = head.ok_or(ReadError::Truncated { what: "a box" })?;
            let size = head.bytes.unwrap_or(self.rest.len() as u64);
            let (whole, behind) = usize::try_from(size)
                .ok()
                .and_then(|size| self.rest.split_at_checked(size))
                .ok_or(ReadError::Truncated { what: "a box" })?;
            Ok((head.kind, &whole[head.header_bytes as usize..], behind))
        });
        match step {
            Ok((kind, body, behind)) => {
                self.rest = behind;
                Some(Ok((kind, body)))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// The `uuid` children of a box.
pub(crate) fn user_boxes(body: &[u8]) -> Result<Vec<UserData>, ReadError> {
    let mut found = Vec::new();
    for child in Children::new(body) {
        if let (kind, body) = child?
            && kind == *b"uuid"
        {
            let (kind, body) =
                body.split_first_chunk::<16>().ok_or(ReadError::Truncated { what: "a uuid box" })?;
            found.push(UserData { kind: *kind, body: Bytes::copy_from_slice(body) });
        }
    }
    Ok(found)
}

/// Big-endian fields, one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// `what` names the structure in errors.
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(ReadError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), ReadError> {
        self.take(count).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or(ReadError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ReadError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_be_bytes)
    }

    /// 64 bits in version 1 of a box, 32 in version 0.
    pub(crate) fn long(&mut self, version: u8) -> Result<u64, ReadError> {
        if version == 0 { self.u32().map(u64::from) } else { self.u64() }
    }

    /// Version and flags of a full box.
    pub(crate) fn version(&mut self) -> Result<(u8, u32), ReadError> {
        let bits = self.u32()?;
        Ok(((bits >> 24) as u8, bits & 0xff_ffff))
    }
}
