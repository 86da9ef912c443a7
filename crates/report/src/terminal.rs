//! Renders text as a terminal shows it: a prompt, wrapped lines, and pictures as SVG and PNG.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use anstyle::{Color, RgbColor};
use anstyle_svg::{Palette, Term};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, fontdb};

use crate::error::{Error, Result};
use crate::transcript::Command;

/// Columns of the terminals in the report: all tables fit, and the letters are legible on a page.
pub const COLUMNS: usize = 116;
/// Lines of a picture that fills a page.
pub const LINES: usize = 67;
/// Gives a picture 290 dots per inch when it is printed 17 cm wide.
const PIXELS_PER_UNIT: f32 = 2.0;
const TITLE_BAR_UNITS: u32 = 30;
const COLUMN_UNITS: f64 = 8.4;
const BACKGROUND: RgbColor = RgbColor(0x1e, 0x1e, 0x2a);
const FOREGROUND: RgbColor = RgbColor(0xdc, 0xdc, 0xdc);
/// Black, red, green, yellow, blue, magenta, cyan and white, then the bright variants; all legible on the background.
const PALETTE: Palette = Palette([
    RgbColor(0x3a, 0x3a, 0x46),
    RgbColor(0xf0, 0x71, 0x78),
    RgbColor(0x8c, 0xc8, 0x6a),
    RgbColor(0xe5, 0xc0, 0x7b),
    RgbColor(0x6c, 0xb0, 0xf0),
    RgbColor(0xc6, 0x8a, 0xe0),
    RgbColor(0x5c, 0xc0, 0xcc),
    FOREGROUND,
    RgbColor(0x70, 0x70, 0x80),
    RgbColor(0xff, 0x8a, 0x90),
    RgbColor(0xa6, 0xe2, 0x80),
    RgbColor(0xff, 0xd8, 0x90),
    RgbColor(0x8c, 0xc6, 0xff),
    RgbColor(0xdc, 0xa6, 0xf4),
    RgbColor(0x7c, 0xdc, 0xe6),
    RgbColor(0xff, 0xff, 0xff),
]);
const FONT: &[u8] = include_bytes!("../fonts/DejaVuSansMono.ttf");
const FONT_NAME: &str = "DejaVu Sans Mono";

/// A raster image.
#[derive(Debug)]
pub struct Png {
    pub bytes: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// A prompt with a command.
pub fn prompt(line: &str) -> String {
    format!("\u{1b}[1;92m$\u{1b}[0m \u{1b}[1m{line}\u{1b}[0m\n")
}

/// A prompt with a command, then its log, then its result, which is printed last.
pub fn session(command: &Command) -> String {
    let mut text = prompt(&command.line());
    text.push_str(&command.stderr);
    text.push_str(&command.stdout);
    text
}

/// Wraps lines at this many columns, as a terminal does. Escape sequences take up no column.
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut column = 0;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            wrapped.push(character);
            // A sequence ends with a letter.
            for character in characters.by_ref() {
                wrapped.push(character);
                if character.is_ascii_alphabetic() {
                    break;
                }
            }
            continue;
        }
        if character == '\n' {
            column = 0;
        } else if column == columns {
            wrapped.push('\n');
            column = 1;
        } else {
            column += 1;
        }
        wrapped.push(character);
    }
    wrapped
}

/// The beginning and the end of a text that has more than `maximum` lines.
pub fn shortened(text: &str, maximum: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    if lines.len() <= maximum {
        return text.to_owned();
    }
    let kept = (maximum - 1) / 2;
    let left_out = lines.len() - 2 * kept;
    format!(
        "{}\u{1b}[0m\n\u{1b}[2m... {left_out} lines more, which are in the log ...\u{1b}[0m\n{}\n",
        lines[..kept].join("\n"),
        lines[lines.len() - kept..].join("\n")
    )
}

/// The text without colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A terminal window with the text, at least `columns` columns wide.
pub fn svg(text: &str, title: &str, columns: usize) -> Result<String> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a terminal has few columns"
    )]
    let minimal_width = (columns as f64 * COLUMN_UNITS).ceil() as usize;
    let screen = Term::new()
        .palette(PALETTE)
        .fg_color(Color::Rgb(FOREGROUND))
        .bg_color(Color::Rgb(BACKGROUND))
        .background(false)
        .min_width_px(minimal_width)
        .render_svg(text.trim_end());
    let size = |name: &str| {
        let value = screen.split_once(&format!("{name}=\""))?.1.split_once("px\"")?.0;
        value.parse::<u32>().ok()
    };
    let (Some(width), Some(height)) = (size("width"), size("height")) else {
        return Err(Error::Picture("the screen has no size".to_owned()));
    };
    let height = height + TITLE_BAR_UNITS;
    let RgbColor(red, green, blue) = BACKGROUND;
    let middle = width / 2;
    Ok(format!(
        "<svg width=\"{width}px\" height=\"{height}px\" viewBox=\"0 0 {width} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#{red:02x}{green:02x}{blue:02x}\"/>\n\
         <circle cx=\"18\" cy=\"18\" r=\"5.5\" fill=\"#ff5f58\"/>\n\
         <circle cx=\"36\" cy=\"18\" r=\"5.5\" fill=\"#ffbd2e\"/>\n\
         <circle cx=\"54\" cy=\"18\" r=\"5.5\" fill=\"#18c132\"/>\n\
         <text x=\"{middle}\" y=\"22\" text-anchor=\"middle\" fill=\"#9a9aa6\" \
         font-family=\"monospace\" font-size=\"12px\">{title}</text>\n\
         {}</svg>\n",
        screen.replacen("<svg ", &format!("<svg y=\"{TITLE_BAR_UNITS}px\" "), 1)
    ))
}

/// Converts an SVG to a PNG.
pub fn png(svg: &str) -> Result<Png> {
    static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        fonts.set_monospace_family(FONT_NAME);
        Arc::new(fonts)
    });
    let options = usvg::Options {
        fontdb: FONTS.clone(),
        font_family: FONT_NAME.to_owned(),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| Error::Picture(error.to_string()))?;
    let size = tree
        .size()
        .to_int_size()
        .scale_by(PIXELS_PER_UNIT)
        .ok_or_else(|| Error::Picture("it has no size".to_owned()))?;
    let (width, height) = (size.width(), size.height());
    let mut dots = Pixmap::new(width, height).ok_or_else(|| Error::Picture("it is too large".to_owned()))?;
    // White shows at the rounded corners, as on paper.
    dots.fill(resvg::tiny_skia::Color::WHITE);
    let scale = Transform::from_scale(PIXELS_PER_UNIT, PIXELS_PER_UNIT);
    resvg::render(&tree, scale, &mut dots.as_mut());
    let bytes = encoded(&dots).map_err(|error| Error::Picture(error.to_string()))?;
    Ok(Png { bytes, width, height })
}

/// Encodes the image with a palette, which halves its size: a terminal has few colours.
fn encoded(dots: &Pixmap) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let mut numbers: HashMap<[u8; 3], u8> = HashMap::new();
    let mut palette = Vec::new();
    let mut numbered = Vec::with_capacity(dots.pixels().len());
    for dot in dots.pixels() {
        let color = [dot.red(), dot.green(), dot.blue()];
        let number = match (numbers.get(&color), u8::try_from(numbers.len())) {
            (Some(number), _) => *number,
            (None, Ok(number)) => {
                palette.extend(color);
                numbers.insert(color, number);
                number
            }
            (None, Err(_)) => nearest(&palette, color),
        };
        numbered.push(number);
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, dots.width(), dots.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&numbered)?;
    writer.finish()?;
    Ok(bytes)
}

fn nearest(palette: &[u8], color: [u8; 3]) -> u8 {
    let distance = |other: &[u8]| -> u32 {
        let parts = other.iter().zip(color);
        parts.map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
    };
    let colors = palette.chunks_exact(3).enumerate();
    let nearest = colors.min_by_key(|(_, other)| distance(other));
    nearest.map_or(0, |(number, _)| u8::try_from(number).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wrap_at_the_last_column_and_colours_take_no_room() {
        assert_eq!(wrapped("abcdef\ngh", 3), "abc\ndef\ngh");
        assert_eq!(wrapped("\u{1b}[31mab\u{1b}[0mcd", 3), "\u{1b}[31mab\u{1b}[0mc\nd");
        assert_eq!(wrapped("abc\n", 3), "abc\n");
    }

    #[test]
    fn long_texts_keep_both_ends() {
        assert_eq!(shortened("a\nb\nc\n", 3), "a\nb\nc\n");
        let short = shortened("a\nb\nc\nd\n", 3);
        assert!(short.starts_with('a') && short.ends_with("d\n"), "{short}");
        assert!(short.contains("2 lines more"), "{short}");
    }

    #[test]
    fn a_picture_shows_letters_and_lines() {
        let blank = png(&svg("", "", 20).unwrap()).unwrap();
        let full = png(&svg("\u{1b}[32mall is well\u{1b}[0m ─────", "", 20).unwrap()).unwrap();
        assert_eq!(&full.bytes[1..4], b"PNG");
        assert_eq!(blank.width, full.width);
        assert!(full.bytes.len() > blank.bytes.len() + 500, "{}", full.bytes.len());
    }
}
