"""Step 4 of the Train tab: the run as it goes, its previews, and the runs there were."""

from __future__ import annotations

from modules.web.ui.form import button


def run() -> str:
    """Markup that `static/train-run.js`, `train-curve.js`, `train-strip.js` and `train-runs.js` fill."""
    return (
        f'<div class="run-view" data-run-view hidden>{_head()}'
        f'<div class="run-pair">{_curve()}{_compare()}</div>{_strip()}'
        '<ul class="notices" data-run-notices aria-label="What was said"></ul></div>'
        '<p class="run-empty" data-run-empty>No training has been started yet. Choose pictures, look at their '
        "captions, give the new word a name, then press Start training.</p>"
        f"{_runs()}"
    )


def _head() -> str:
    return (
        '<header class="run-head"><div class="run-title"><h2 data-run-name></h2>'
        '<span class="run-lamp" data-run-state></span></div>'
        f'<div class="run-actions">{_actions()}</div></header>'
        '<div class="bar" role="progressbar" aria-label="Progress of the training" aria-valuemin="0" '
        'aria-valuemax="100" aria-valuenow="0" data-run-bar><i></i></div>'
        '<p class="problem" data-run-problem-text role="alert" hidden></p>'
        f'<div class="numbers-row"><dl class="numbers">{_number("step", "Step")}{_number("left", "Time left")}'
        f"{_number('evaluation', 'Evaluation loss')}{_number('speed', 'Speed')}</dl>"
        '<dl class="small-numbers" data-small-numbers></dl></div>'
    )


def _number(name: str, label: str) -> str:
    return (
        f'<div><dt>{label}</dt><dd><b data-number="{name}">–</b> <span data-number-note="{name}"></span></dd></div>'
    )


def _actions() -> str:
    return (
        '<button type="button" class="second small" data-action="pause-run" hidden>Pause</button>'
        '<button type="button" class="second small" data-action="resume-run" hidden>Resume</button>'
        '<button type="button" class="second small" data-action="stop-best" hidden>Stop and keep best</button>'
        '<span class="more-steps" data-more-steps hidden><label for="more-steps" class="unseen">Further steps</label>'
        '<input type="number" id="more-steps" value="1000" min="1" step="100" autocomplete="off">'
        '<button type="button" class="second small" data-action="more-steps">more steps</button></span>'
        '<button type="button" class="primary small" data-action="try-run" hidden>Try it now</button>'
    )


def _curve() -> str:
    return (
        '<figure class="curve"><figcaption><span class="legend" data-legend></span>'
        '<output class="curve-read" data-curve-read></output></figcaption>'
        '<div class="curve-room" data-curve tabindex="0" role="img" aria-label="Loss"></div></figure>'
    )


def _compare() -> str:
    """Two pictures of the same seed, one over the other; the slider says how much of each is seen."""
    return (
        '<div class="compare" data-compare><div class="compare-stage" data-compare-stage>'
        '<img data-compare-a alt=""><img data-compare-b alt=""><i data-compare-line aria-hidden="true"></i>'
        '<input type="range" min="0" max="100" value="50" step="1" data-compare-slider '
        'aria-label="How much of the left and of the right picture is seen" autocomplete="off">'
        '<p class="compare-empty" data-compare-empty>Previews appear here.</p></div>'
        f'<div class="compare-tools">{_side("a", "Left")}{_side("b", "Right")}{_seed()}</div>'
        f"{_copies()}</div>"
    )


def _side(side: str, label: str) -> str:
    return (
        f'<div class="field"><label for="compare-{side}">{label}</label><div class="control">'
        f'<select id="compare-{side}" data-compare-step="{side}" autocomplete="off"></select></div></div>'
    )


def _seed() -> str:
    return (
        '<div class="field"><label for="compare-seed">Picture</label><div class="control">'
        '<select id="compare-seed" data-compare-seed autocomplete="off"></select></div></div>'
    )


def _copies() -> str:
    """What was learned up to a step can be used, or become the result."""
    return (
        '<div class="copies" data-copies hidden><div class="field"><label for="copy-step">Copy of step</label>'
        '<div class="control"><select id="copy-step" data-copy-step autocomplete="off"></select></div></div>'
        '<button type="button" class="second small" data-action="keep-copy">Keep as the result</button>'
        '<button type="button" class="second small" data-action="try-copy">Try it</button></div>'
    )


def _strip() -> str:
    return (
        '<section class="strip" aria-labelledby="strip-title"><h3 id="strip-title">Previews</h3>'
        '<div class="strip-room" data-strip tabindex="0" role="group" aria-label="Previews by step"></div></section>'
    )


def _runs() -> str:
    return (
        '<section class="runs" data-runs aria-labelledby="runs-title" hidden><header><h3 id="runs-title">Runs</h3>'
        f"{button('refresh-runs', 'Look again', 'refresh')}</header>"
        "<ul data-runs-list></ul></section>"
    )
