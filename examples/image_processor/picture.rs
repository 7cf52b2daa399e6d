//! A picture on its way: a request and its response look the same.
//!
//! | offset | bytes | meaning |
//! |---|---|---|
//! | 0 | 4 | width in pixels, at least 1 |
//! | 4 | 4 | height in pixels, at least 1 |
//! | 8 | 4 | channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha |
//! | 12 | 4 | filter: 0 invert, 1 greyscale, 2 edges |
//! | 16 | width × height × channels | pixels, row by row from the top, one byte a channel |
//!
//! Numbers are little-endian.

use crate::filter::Filter;

/// Bytes before the pixels.
pub const HEADER: usize = 16;

/// What stands before the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub width: u32,
    pub height: u32,
    pub channels: u32,
    pub filter: Filter,
}

impl Header {
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let fields = [self.width, self.height, self.channels, self.filter as u32];
        for (to, field) in bytes.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// The header at the beginning of `picture`, and the pixels, which have the size that it says.
    pub fn split(picture: &mut [u8]) -> Result<(Header, &mut [u8]), String> {
        let length = picture.len();
        let (bytes, pixels) = picture
            .split_first_chunk_mut::<HEADER>()
            .ok_or_else(|| format!("{length} bytes, and {HEADER} are needed for the header"))?;
        let mut fields = [0; 4];
        for (field, from) in fields.iter_mut().zip(bytes.chunks_exact(4)) {
            from.iter()
                .rev()
                .for_each(|byte| *field = *field << 8 | u32::from(*byte));
        }
        let [width, height, channels, filter] = fields;
        let header = Header {
            width,
            height,
            channels,
            filter: Filter::from_number(filter).ok_or_else(|| format!("no filter {filter}"))?,
        };
        if width == 0 || height == 0 || !(1..=4).contains(&channels) {
            return Err(format!(
                "no picture has {width} x {height} pixels of {channels} channels"
            ));
        }
        if header.size() != Some(pixels.len()) {
            return Err(format!(
                "{} bytes of pixels for {width} x {height} pixels of {channels} channels",
                pixels.len()
            ));
        }
        Ok((header, pixels))
    }

    /// Bytes of pixels.
    pub fn size(&self) -> Option<usize> {
        (self.width as usize)
            .checked_mul(self.height as usize)?
            .checked_mul(self.channels as usize)
    }
}
