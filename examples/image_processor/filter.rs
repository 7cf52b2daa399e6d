//! Filters that change pixels in place. None of them touches alpha.

use clap::ValueEnum;

use crate::picture::Header;

/// What is done to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[repr(u32)]
pub enum Filter {
    /// Light becomes dark and dark becomes light
    Invert = 0,
    /// Only brightness stays
    Greyscale = 1,
    /// Only what changes from one pixel to the next stays
    Edges = 2,
}

impl Filter {
    pub fn from_number(number: u32) -> Option<Filter> {
        [Filter::Invert, Filter::Greyscale, Filter::Edges]
            .into_iter()
            .find(|filter| *filter as u32 == number)
    }
}

/// Applies the header's filter to the pixels of its picture.
pub fn apply(header: Header, pixels: &mut [u8]) {
    let channels = header.channels as usize;
    let colours = if channels.is_multiple_of(2) {
        channels - 1
    } else {
        channels
    };
    match header.filter {
        Filter::Invert => invert(pixels, channels, colours),
        Filter::Greyscale => greyscale(pixels, channels),
        Filter::Edges => edges(pixels, header.width as usize, channels, colours),
    }
}

fn invert(pixels: &mut [u8], channels: usize, colours: usize) {
    for pixel in pixels.chunks_exact_mut(channels) {
        for value in &mut pixel[..colours] {
            *value = !*value;
        }
    }
}

/// Brightness as television has it since colour came: green counts most, blue least.
fn greyscale(pixels: &mut [u8], channels: usize) {
    for pixel in pixels.chunks_exact_mut(channels) {
        if let [red, green, blue, ..] = pixel {
            let sum = 299 * u32::from(*red) + 587 * u32::from(*green) + 114 * u32::from(*blue);
            let brightness = ((sum + 500) / 1000) as u8;
            [*red, *green, *blue] = [brightness; 3];
        }
    }
}

/// Sobel's operator; beyond the border the picture goes on as it ends.
fn edges(pixels: &mut [u8], width: usize, channels: usize, colours: usize) {
    let length = width * channels;
    // The rows at and above the one that is being changed, as they were.
    let mut above = pixels[..length].to_vec();
    let mut here = above.clone();
    let rows = pixels.len() / length;
    for row in 0..rows {
        let (done, below) = pixels.split_at_mut((row + 1) * length);
        let changing = &mut done[row * length..];
        here.copy_from_slice(changing);
        let below = if below.is_empty() {
            &here
        } else {
            &below[..length]
        };
        for column in 0..width {
            let left = column.saturating_sub(1) * channels;
            let right = (column + 1).min(width - 1) * channels;
            let middle = column * channels;
            for colour in 0..colours {
                let at = |line: &[u8], offset: usize| i32::from(line[offset + colour]);
                let sum = |offset| at(&above, offset) + 2 * at(&here, offset) + at(below, offset);
                let across = |line| at(line, left) + 2 * at(line, middle) + at(line, right);
                let horizontal = sum(right) - sum(left);
                let vertical = across(below) - across(&above);
                changing[middle + colour] = (horizontal.abs() + vertical.abs()).min(255) as u8;
            }
        }
        std::mem::swap(&mut above, &mut here);
    }
}
