//! The building blocks of the document: headings, text, tables and pictures with captions, logs.

use docx_rs::{
    BorderType, BreakType, FieldCharType, InstrText, Paragraph, Pic, Run, Shading, Table, TableBorder,
    TableBorderPosition, TableBorders, TableCell, TableCellMargins, TableLayoutType, TableRow, VAlignType, WidthType,
};

use super::styles;
use crate::terminal::Png;

/// English Metric Units per twentieth of a point.
const EMU_PER_TWENTIETH: u32 = 635;
/// The largest height of a picture: a caption and a line of text fit on the same page.
const LARGEST_HEIGHT: u32 = 13_000 * EMU_PER_TWENTIETH;

const FEW_LINES: usize = 10;

pub enum Block {
    Paragraph(Box<Paragraph>),
    Table(Box<Table>),
}

/// A heading that the table of contents lists.
pub struct Heading {
    pub text: String,
    pub bookmark: String,
}

/// The content of a table cell.
#[derive(Clone, Debug)]
pub enum Cell {
    Text(String),
    Number(String),
    /// Lines of code.
    Code(String),
    Verdict(bool),
}

/// The document after the table of contents, while it is being built.
#[derive(Default)]
pub struct Body {
    pub blocks: Vec<Block>,
    pub headings: Vec<Heading>,
    /// Descriptions of the pictures for readers who cannot see them, in order.
    pub alternative_texts: Vec<String>,
    tables: usize,
}

impl Body {
    /// The heading of a chapter, optionally on a new page.
    pub fn chapter(&mut self, text: &str, on_new_page: bool) {
        let number = self.headings.len() + 1;
        let bookmark = format!("_Toc{number:08}");
        self.paragraph(
            Paragraph::new()
                .style(styles::HEADINGS[0])
                .page_break_before(on_new_page)
                .add_bookmark_start(number, &bookmark)
                .add_run(Run::new().add_text(text))
                .add_bookmark_end(number),
        );
        let text = text.to_owned();
        self.headings.push(Heading { text, bookmark });
    }

    pub fn section(&mut self, text: &str) {
        self.styled(styles::HEADINGS[1], text);
    }

    pub fn text(&mut self, text: &str) {
        self.styled(styles::BODY, text);
    }

    pub fn styled(&mut self, style: &str, text: &str) {
        self.paragraph(Paragraph::new().style(style).add_run(Run::new().add_text(text)));
    }

    pub fn verdict(&mut self, passed: bool, text: &str) {
        let run = Run::new().add_text(text).color(color(passed));
        self.paragraph(Paragraph::new().style(styles::VERDICT).add_run(run));
    }

    /// A table with its caption above it. `widths` are proportions of the text width.
    pub fn table(&mut self, caption: &str, widths: &[usize], header: &[&str], rows: &[Vec<Cell>]) {
        self.tables += 1;
        let caption = self::caption("Table", self.tables, caption).keep_next(true);
        self.paragraph(caption);
        self.bare_table(widths, Some(header), rows);
    }

    pub fn bare_table(&mut self, widths: &[usize], header: Option<&[&str]>, rows: &[Vec<Cell>]) {
        let whole: usize = widths.iter().sum();
        let widths: Vec<usize> = widths.iter().map(|part| styles::TEXT_WIDTH * part / whole).collect();
        let header = header.map(|names| {
            let cells = names.iter().zip(&widths).map(|(name, width)| {
                let run = Run::new().add_text(*name).bold();
                let paragraph = Paragraph::new().style(styles::CELL).keep_next(true).add_run(run);
                cell(paragraph, *width).shading(Shading::new().fill("E4EAF2"))
            });
            TableRow::new(cells.collect()).cant_split()
        });
        let rows = rows.iter().map(|row| {
            let cells = row.iter().zip(&widths).map(|(content, width)| filled(content, *width));
            TableRow::new(cells.collect()).cant_split()
        });
        let table = Table::new(header.into_iter().chain(rows).collect())
            .set_grid(widths)
            .layout(TableLayoutType::Fixed)
            .width(styles::TEXT_WIDTH, WidthType::Dxa)
            .set_borders(borders())
            .margins(TableCellMargins::new().margin(30, 90, 30, 90));
        self.blocks.push(Block::Table(Box::new(table)));
        // The empty paragraph separates the table from what follows.
        self.styled(styles::CELL, "");
    }

    /// A picture of a terminal, as wide as the text, with its caption below.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no picture is larger than a page"
    )]
    pub fn picture(&mut self, png: Png, caption: &str, alternative_text: &str) {
        let full_width = styles::TEXT_WIDTH as u32 * EMU_PER_TWENTIETH;
        let ratio = f64::from(png.height) / f64::from(png.width);
        let mut width = full_width;
        let mut height = (f64::from(full_width) * ratio) as u32;
        if height > LARGEST_HEIGHT {
            (width, height) = ((f64::from(LARGEST_HEIGHT) / ratio) as u32, LARGEST_HEIGHT);
        }
        let picture = Pic::new_with_dimensions(png.bytes, png.width, png.height).size(width, height);
        let run = Run::new().add_image(picture);
        self.paragraph(Paragraph::new().style(styles::FIGURE).add_run(run));
        self.alternative_texts.push(alternative_text.to_owned());
        self.paragraph(self::caption("Figure", self.alternative_texts.len(), caption));
    }

    /// Lines as they were printed.
    pub fn log(&mut self, text: &str) {
        for line in text.lines() {
            self.styled(styles::LOG, line);
        }
    }

    /// The same, but a few lines stay on one page, together with the line above them.
    pub fn log_together(&mut self, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let is_followed = lines.len() <= FEW_LINES && number + 1 < lines.len();
            let run = Run::new().add_text(*line);
            self.paragraph(Paragraph::new().style(styles::LOG).keep_next(is_followed).add_run(run));
        }
    }

    pub fn paragraph(&mut self, paragraph: Paragraph) {
        self.blocks.push(Block::Paragraph(Box::new(paragraph)));
    }
}

/// A caption whose number is a field, so that Word can list the captions.
fn caption(kind: &str, number: usize, text: &str) -> Paragraph {
    Paragraph::new()
        .style(styles::CAPTION)
        .add_run(Run::new().add_text(format!("{kind} ")))
        .add_run(field(&format!("SEQ {kind} \\* ARABIC"), &number.to_string()))
        .add_run(Run::new().add_text(format!(": {text}")))
}

/// A field with the value to show until the field is updated.
pub fn field(instruction: &str, value: &str) -> Run {
    Run::new()
        .add_field_char(FieldCharType::Begin, false)
        .add_instr_text(InstrText::Unsupported(instruction.to_owned()))
        .add_field_char(FieldCharType::Separate, false)
        .add_text(value)
        .add_field_char(FieldCharType::End, false)
}

fn filled(content: &Cell, width: usize) -> TableCell {
    let text = Paragraph::new().style(styles::CELL);
    let paragraph = match content {
        Cell::Text(words) => text.add_run(Run::new().add_text(words)),
        Cell::Number(digits) => text
            .align(docx_rs::AlignmentType::Right)
            .add_run(Run::new().add_text(digits)),
        Cell::Code(code) => {
            let mut run = Run::new();
            for (number, line) in code.lines().enumerate() {
                if number > 0 {
                    run = run.add_break(BreakType::TextWrapping);
                }
                run = run.add_text(line);
            }
            Paragraph::new().style(styles::CELL_CODE).add_run(run)
        }
        Cell::Verdict(passed) => {
            let words = if *passed { "passed" } else { "FAILED" };
            text.add_run(Run::new().add_text(words).bold().color(color(*passed)))
        }
    };
    cell(paragraph, width)
}

fn cell(paragraph: Paragraph, width: usize) -> TableCell {
    TableCell::new()
        .add_paragraph(paragraph)
        .width(width, WidthType::Dxa)
        .vertical_align(VAlignType::Top)
}

fn color(passed: bool) -> &'static str {
    if passed { styles::PASSED } else { styles::FAILED }
}

fn borders() -> TableBorders {
    [
        TableBorderPosition::Top,
        TableBorderPosition::Bottom,
        TableBorderPosition::Left,
        TableBorderPosition::Right,
        TableBorderPosition::InsideH,
        TableBorderPosition::InsideV,
    ]
    .into_iter()
    .fold(TableBorders::with_empty(), |borders, position| {
        let line = TableBorder::new(position).border_type(BorderType::Single);
        borders.set(line.size(4).color("C8CCD1"))
    })
}
