// The page's style sheet: light and dark by the reader's setting, one column on a phone, plain on paper.

import { darkChartRules, palette } from "./charts/palette";

const variables = (scheme: "light" | "dark") =>
  Object.entries(palette)
    .map(([name, shade]) => `--${name}:${shade[scheme]}`)
    .join(";");

export const styleSheet = `
:root{color-scheme:light dark;${variables("light")}}
@media screen and (prefers-color-scheme:dark){:root{${variables("dark")}}${darkChartRules(".chart ")}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:76rem;padding:1.5rem clamp(.9rem,3vw,2.5rem) 4rem;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:clamp(1.5rem,5vw,2.1rem);line-height:1.2;margin:.5rem 0}
h2{font-size:1.35rem;line-height:1.3;margin:3rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
p,li,figcaption,caption{max-width:75ch}
p{margin:.5rem 0}
a{color:var(--blue)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:1rem 0;padding:0;list-style:none}
.lead{color:var(--faint)}
.warning{margin:1rem 0;padding:.6rem .9rem;border-left:.25rem solid var(--orange);background:var(--shade)}
.scroll{overflow-x:auto;margin:1.25rem 0 .25rem}
.scroll:focus-visible,a:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
table{border-collapse:separate;border-spacing:0;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:0 0 .5rem;color:var(--faint);font-size:.9rem}
caption span{position:sticky;left:0;display:inline-block;max-width:min(75ch,calc(100vw - 2rem))}
th,td{padding:.35rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{border-bottom:2px solid var(--grey);vertical-align:bottom;font-size:.9rem}
th.numeric,td.numeric{text-align:right}td.numeric{white-space:nowrap}
tbody th{position:sticky;left:0;min-width:7rem;max-width:15rem;background:var(--paper);font-weight:600}
td.chosen{background:var(--shade);font-weight:600}
.detail{display:block;color:var(--faint);font-size:.8rem;font-weight:400}
td.numeric .detail{white-space:pre}
td:not(.numeric){min-width:7rem}td:not(.numeric) .detail{min-width:11rem}
.mark{color:var(--faint);font-weight:400}
.chosen .mark{color:var(--orange)}
figure{margin:1.5rem 0 .25rem}
figcaption{color:var(--faint);font-size:.9rem;margin-top:.5rem}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem}
.single{display:block}
.chart{display:block;max-width:100%;height:auto}
.single .chart{width:min(100%,36rem)}
.notes{margin:.25rem 0;padding-left:1.1rem;color:var(--faint);font-size:.85rem}
.data{font-size:.85rem;margin:.25rem 0 1.5rem}
footer{margin-top:3rem;padding-top:.75rem;border-top:1px solid var(--line);color:var(--faint);font-size:.85rem}
@media (max-width:36rem){th,td{padding:.3rem .45rem;font-size:.9rem}tbody th{max-width:8rem}thead th{font-size:.8rem}}
@media print{body{max-width:none;padding:0;font-size:9.5pt}nav,.data{display:none}h2{break-after:avoid;margin-top:1.5rem}
figure,tr,.chart{break-inside:avoid}.scroll{overflow:visible}th,td{padding:.2rem .4rem;font-size:8pt}
.detail{font-size:7pt}tbody th{position:static}.panels{grid-template-columns:repeat(2,1fr)}.single .chart{width:13cm}
caption span{position:static;max-width:none}td.chosen{background:none}}
`.trim();
