//! Line plots as SVG.

use std::path::Path;

use plotters::prelude::*;

/// One line: its name and its points.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Draws lines with both axes from 0.
pub fn lines(path: &Path, title: &str, x_axis: &str, y_axis: &str, lines: &[Line]) {
    let points = || lines.iter().flat_map(|line| &line.points);
    let end = |values: Vec<f64>| values.into_iter().fold(1.0, f64::max) * 1.05;
    let right = end(points().map(|point| point.0).collect());
    let top = end(points().map(|point| point.1).collect());
    let drawing = SVGBackend::new(path, (800, 450)).into_drawing_area();
    let draw = || -> Result<(), Box<dyn std::error::Error>> {
        drawing.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&drawing)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(45)
            .y_label_area_size(80)
            .build_cartesian_2d(0.0..right, 0.0..top)?;
        chart.configure_mesh().x_desc(x_axis).y_desc(y_axis).draw()?;
        for (number, line) in lines.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)).point_size(3))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE)
            .border_style(BLACK)
            .position(SeriesLabelPosition::LowerRight)
            .draw()?;
        drawing.present()?;
        Ok(())
    };
    draw().expect("a plot can be written");
}
