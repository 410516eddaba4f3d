//! Pages that show runs.

use std::fs;

use crate::program::{folder, names, run, run_in, trained};

#[test]
fn a_run_has_metrics_and_a_report_that_can_be_made_again() {
    let folder = folder();
    let line = "--preset dcgan --steps 4 --batch-size 4 --log-every 2 --sample-every 2 --evaluate-every 4 \
                --evaluate-count 20 --out run --device cpu";
    run(folder.path(), line).success();
    let at = folder.path().join("run");
    let text = fs::read_to_string(at.join("metrics.jsonl")).unwrap();
    let points: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(points.iter().map(|p| p["step"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4]);
    for point in &points {
        for key in
            ["d_real", "g", "d_accuracy_real", "g_gradient_norm", "d_learning_rate", "diversity", "seconds"]
        {
            assert!(point[key].is_f64(), "{key}: {point}");
        }
    }
    assert_eq!(points[1]["evaluation"]["count"], 20);
    assert!(
        points[1]["evaluation"]["floor"]["frechet_distance"].is_f64() && points[0]["evaluation"].is_null()
    );

    let page = fs::read(at.join("report.html")).unwrap();
    fs::remove_file(at.join("report.html")).unwrap();
    let gif = fs::read(at.join("samples.gif")).unwrap();
    assert!(gif.starts_with(b"GIF89a"));
    fs::remove_file(at.join("samples.gif")).unwrap();
    let outcome = run(folder.path(), "report run").success();
    assert!(outcome.stdout.contains("report.html"), "{}", outcome.stdout);
    assert!(
        page == fs::read(at.join("report.html")).unwrap() && gif == fs::read(at.join("samples.gif")).unwrap()
    );
    let page = String::from_utf8(page).unwrap();
    for part in ["gan-mnist --preset dcgan --steps 4", "Frechet distance", "Samples through training"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn runs_are_compared_on_one_page() {
    let folder = folder();
    let runs = ["cdcgan", "dcgan"].map(|preset| trained(preset).display().to_string());
    run_in(folder.path(), ["compare", &runs[0], &runs[1], "--out", "x.html"]).success();
    let page = fs::read_to_string(folder.path().join("x.html")).unwrap();
    for part in ["Runs cdcgan, dcgan", "Losses: generator", "Settings that differ"] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(names(folder.path()), ["x.html"]);
    for (line, code, part) in [
        ("compare one", 2, "2 values"),
        ("compare one two", 1, "one is no run directory"),
        ("compare one two --out x.pdf", 2, ".html"),
        ("report missing", 1, "missing is no run directory"),
    ] {
        let message = run(folder.path(), line).error(code);
        assert!(message.contains(part), "{line}: {message}");
    }
    assert_eq!(names(folder.path()), ["x.html"]);
}
