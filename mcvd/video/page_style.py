"""How pages look: the style of a whole page, and that of its parts, which can also stand in somebody else's page."""

CONTEXT, GENERATED, TARGET = "#2f7de1", "#f08a24", "#8b95a1"  # blue and orange: told apart by the colour-blind too

PAGE_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #e1e5ea; --paper: #fbfbfa; --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7eaee; --soft: #98a3af; --line: #2b3138; --paper: #121518; --card: #1a1e22; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: clamp(20px, 5vw, 56px) clamp(16px, 4vw, 40px) 80px; }
h1 { font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .4em; }
.intro { font-size: 1.1rem; color: var(--soft); }
"""

# All of it lies below .mcvd, so that it changes nothing else in a page that the parts stand in.
PARTS_STYLE = f"""
.mcvd h2 {{ font-size: 1.35rem; letter-spacing: -.01em; margin: 2.2em 0 .3em; padding-top: 1.3em;
  border-top: 1px solid var(--line); }}
.mcvd p {{ max-width: 44em; margin: .4em 0 1em; text-wrap: pretty; }}
.mcvd .note {{ font-size: .86rem; color: var(--soft); }}
.mcvd .context {{ --mark: {CONTEXT}; }}
.mcvd .generated {{ --mark: {GENERATED}; }}
.mcvd .target {{ --mark: {TARGET}; }}
.mcvd .legend {{ display: flex; flex-wrap: wrap; gap: .3em 1.4em; max-width: none; font-size: .86rem;
  color: var(--soft); }}
.mcvd .legend span {{ display: inline-flex; align-items: center; gap: .5em; }}
.mcvd .legend i {{ width: .85em; height: .85em; border-radius: 3px; background: var(--mark); }}
.mcvd figure {{ margin: 0; }}
.mcvd figcaption {{ font-size: .86rem; color: var(--soft); margin-top: .35em; }}
.mcvd .videos {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(44%, 180px), 1fr)); gap: 16px;
  margin: 1.2em 0; }}
.mcvd .videos video, .mcvd .videos img {{ display: block; width: 100%; border-radius: 6px;
  image-rendering: pixelated; }}
.mcvd .scroll {{ overflow-x: auto; margin: 1.2em 0; -webkit-overflow-scrolling: touch; }}
.mcvd table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
.mcvd .strip {{ border-spacing: 0; }}
.mcvd .strip td {{ padding: 2px; }}
.mcvd .strip img {{ display: block; width: clamp(58px, calc((min(100vw, 1080px) - 165px) / var(--frames) - 4px), 104px);
  border: 3px solid var(--mark); border-radius: 4px; image-rendering: pixelated; }}
.mcvd .strip th {{ font-size: .78rem; font-weight: 500; color: var(--soft); padding: 2px;
  white-space: nowrap; }}
.mcvd .strip th[scope] {{ position: sticky; left: 0; background: var(--paper); text-align: left; padding-right: 10px; }}
.mcvd .scores {{ background: var(--card); border: 1px solid var(--line); border-radius: 8px; font-size: .94rem; }}
.mcvd .scores th, .mcvd .scores td {{ padding: .5em 1em; text-align: right; white-space: nowrap;
  border-top: 1px solid var(--line); }}
.mcvd .scores thead th {{ border-top: 0; font-size: .8rem; font-weight: 600; color: var(--soft); }}
.mcvd .scores th[scope="row"] {{ text-align: left; font-weight: 500; }}
@media (max-width: 600px) {{ .mcvd .scores th, .mcvd .scores td {{ padding: .45em .6em; }} }}
.mcvd .definitions {{ display: grid; grid-template-columns: minmax(6em, max-content) minmax(0, 1fr); gap: .3em 1.2em;
  font-size: .9rem; margin: 1em 0; }}
.mcvd .definitions dt {{ color: var(--soft); }}
.mcvd .definitions dd {{ margin: 0; overflow-wrap: anywhere; }}
@media (max-width: 600px) {{ .mcvd .definitions {{ grid-template-columns: 1fr; gap: 0; }}
  .mcvd .definitions dd {{ margin-bottom: .5em; }} }}
.mcvd .charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr));
  gap: 0 28px; }}
.mcvd .chart {{ max-width: 600px; margin: 1.6em 0; }}
.mcvd .chart svg {{ display: block; width: 100%; height: auto; }}
.mcvd .chart text {{ font-size: 11px; fill: var(--soft); }}
.mcvd .chart polyline {{ fill: none; stroke-width: 1.8; stroke-linejoin: round; }}
.mcvd .chart .grid {{ stroke: var(--line); }}
.mcvd .chart figcaption {{ margin: 0 0 .4em; font-weight: 600; }}
"""

# Colours of a page that is not ours: the ink is that page's, and so is whether it is dark.
GUEST_STYLE = """
.mcvd { --ink: currentColor; --paper: transparent; --card: transparent;
  --soft: color-mix(in srgb, currentColor 65%, transparent);
  --line: color-mix(in srgb, currentColor 16%, transparent); }
"""
