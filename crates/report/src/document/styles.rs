//! The appearance of the document: page, fonts, and the styles that Word and LibreOffice know by name.

use docx_rs::{
    AlignmentType, BorderType, Docx, Footer, Header, LineSpacing, LineSpacingType, NumPages, PageMargin, PageNum,
    Paragraph, ParagraphBorder, ParagraphBorderPosition, ParagraphBorders, RunFonts, SpecialIndentType, Style,
    StyleType, Tab, TabLeaderType, TabValueType,
};

/// The width of the text in twentieths of a point: A4 less 1.8 cm on either side.
pub const TEXT_WIDTH: usize = PAGE_WIDTH as usize - 2 * MARGIN as usize;
const PAGE_WIDTH: u32 = 11_906;
const PAGE_HEIGHT: u32 = 16_838;
const MARGIN: i32 = 1_020;

pub const BODY: &str = "Normal";
pub const TITLE: &str = "Title";
pub const SUBTITLE: &str = "Subtitle";
pub const HEADINGS: [&str; 2] = ["Heading1", "Heading2"];
/// The heading of the table of contents, which does not list it.
pub const CONTENTS_HEADING: &str = "TOCHeading";
pub const CONTENTS: &str = "TOC1";
pub const CAPTION: &str = "Caption";
pub const FIGURE: &str = "Figure";
pub const VERDICT: &str = "Verdict";
pub const CELL: &str = "TableText";
pub const CELL_CODE: &str = "TableCode";
pub const LOG: &str = "Log";
pub const LOG_COMMAND: &str = "LogCommand";

pub const PASSED: &str = "1B7F3B";
pub const FAILED: &str = "B3261E";
const ACCENT: &str = "1F3A5F";
const GREY: &str = "5F6368";

/// An empty document with page, styles, header and footer.
pub fn docx() -> Docx {
    let margin = PageMargin::new()
        .top(1_130)
        .bottom(1_130)
        .left(MARGIN)
        .right(MARGIN)
        .header(560)
        .footer(560);
    let header = Header::new().add_paragraph(
        Paragraph::new()
            .style("Header")
            .add_run(docx_rs::Run::new().add_text("sakila-sync: test report")),
    );
    let text = |text: &str| docx_rs::Run::new().add_text(text);
    let footer = Footer::new().add_paragraph(
        Paragraph::new()
            .style("Footer")
            .add_run(text("Page "))
            .add_page_num(PageNum::new())
            .add_run(text(" of "))
            .add_num_pages(NumPages::new()),
    );
    let docx = Docx::new()
        .page_size(PAGE_WIDTH, PAGE_HEIGHT)
        .page_margin(margin)
        .default_fonts(fonts("Calibri"))
        .default_size(21)
        .header(header)
        .footer(footer)
        .first_header(Header::new().add_paragraph(Paragraph::new()))
        .first_footer(Footer::new().add_paragraph(Paragraph::new()))
        .title_pg();
    styles().into_iter().fold(docx, Docx::add_style)
}

fn styles() -> Vec<Style> {
    let style = |id: &str, name: &str| Style::new(id, StyleType::Paragraph).name(name).q_format(true);
    let based = |id: &str, name: &str| style(id, name).based_on(BODY);
    let mut log_command = based(LOG_COMMAND, "Log Command")
        .fonts(fonts("Consolas"))
        .size(14)
        .bold()
        .color(ACCENT)
        .line_spacing(spacing(120, 20));
    log_command.paragraph_property = log_command.paragraph_property.keep_next(true).keep_lines(true);
    let mut caption = based(CAPTION, "caption")
        .size(18)
        .italic()
        .color(GREY)
        .line_spacing(spacing(60, 120));
    caption.paragraph_property = caption.paragraph_property.keep_lines(true);
    let mut figure = based(FIGURE, "Figure")
        .align(AlignmentType::Center)
        .line_spacing(spacing(120, 40));
    figure.paragraph_property = figure.paragraph_property.keep_next(true);
    let mut contents = based(CONTENTS, "toc 1").line_spacing(spacing(0, 60));
    contents.paragraph_property = contents.paragraph_property.add_tab(
        Tab::new()
            .val(TabValueType::Right)
            .leader(TabLeaderType::Dot)
            .pos(TEXT_WIDTH),
    );
    let mut header = based("Header", "header")
        .size(17)
        .color(GREY)
        .align(AlignmentType::Right);
    let line = ParagraphBorder::new(ParagraphBorderPosition::Bottom)
        .val(BorderType::Single)
        .size(4)
        .space(4)
        .color("C8CCD1");
    header.paragraph_property = header
        .paragraph_property
        .set_borders(ParagraphBorders::with_empty().set(line));
    let footer = based("Footer", "footer")
        .size(17)
        .color(GREY)
        .align(AlignmentType::Center);
    vec![
        style(BODY, "Normal").line_spacing(spacing(0, 120).line(264).line_rule(LineSpacingType::Auto)),
        based(TITLE, "Title")
            .size(64)
            .bold()
            .color(ACCENT)
            .line_spacing(spacing(2_400, 120)),
        based(SUBTITLE, "Subtitle")
            .size(28)
            .color(GREY)
            .line_spacing(spacing(0, 480)),
        heading(HEADINGS[0], "heading 1", 0, 34, spacing(0, 160)),
        heading(HEADINGS[1], "heading 2", 1, 25, spacing(240, 100)),
        based(CONTENTS_HEADING, "TOC Heading")
            .size(34)
            .bold()
            .color(ACCENT)
            .line_spacing(spacing(0, 160)),
        contents,
        caption,
        figure,
        based(VERDICT, "Verdict").size(23).bold().line_spacing(spacing(0, 160)),
        based(CELL, "Table Text").size(18).line_spacing(spacing(20, 20)),
        based(CELL_CODE, "Table Code")
            .fonts(fonts("Consolas"))
            .size(15)
            .line_spacing(spacing(20, 20)),
        based(LOG, "Log")
            .fonts(fonts("Consolas"))
            .size(14)
            // Continuation lines are indented.
            .indent(Some(280), Some(SpecialIndentType::Hanging(280)), None, None)
            .line_spacing(spacing(0, 0).line(168).line_rule(LineSpacingType::Exact)),
        log_command,
        header,
        footer,
    ]
}

/// A heading stays on the page of what follows it.
fn heading(id: &str, name: &str, level: usize, half_points: usize, spacing: LineSpacing) -> Style {
    let mut style = Style::new(id, StyleType::Paragraph)
        .name(name)
        .based_on(BODY)
        .next(BODY)
        .q_format(true)
        .size(half_points)
        .bold()
        .color(ACCENT)
        .outline_lvl(level)
        .line_spacing(spacing);
    style.paragraph_property = style.paragraph_property.keep_next(true).keep_lines(true);
    style
}

fn fonts(name: &str) -> RunFonts {
    RunFonts::new().ascii(name).hi_ansi(name).cs(name)
}

/// The space before and after a paragraph, in twentieths of a point.
fn spacing(before: u32, after: u32) -> LineSpacing {
    LineSpacing::new().before(before).after(after)
}
