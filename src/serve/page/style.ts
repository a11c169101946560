// The page's style sheet: light and dark by the reader's setting, one column on a phone, still where motion is unwanted.

export const pageStyle = `
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1b2733;--faint:#52606d;--line:#d3d9e0;--accent:#1f5f9e;
--on-accent:#fff;--trunk:#5b84b1;--trunk-fill:#dbe7f3;--own:#b3691f;--own-fill:#f7e3d0;--bad:#b3261e;--good:#2e7d4f;--idle:#e9edf1}
@media (prefers-color-scheme:dark){:root{--paper:#12171d;--card:#1a2129;--ink:#e4e7eb;--faint:#a3aeb9;--line:#35414d;
--accent:#7fb2e5;--on-accent:#0d1b2a;--trunk:#7fa8d3;--trunk-fill:#234364;--own:#e0a263;--own-fill:#5d3915;--bad:#ff8a80;
--good:#7fd1a1;--idle:#232c36}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1rem;padding:1rem clamp(.8rem,3vw,2rem) 0;max-width:90rem;margin:0 auto}
h1{font-size:1.35rem;margin:0}
h2{font-size:1.05rem;margin:0 0 .6rem}
header p{margin:0}
#reach{margin-left:auto;font-size:.85rem;color:var(--faint)}
#reach::before{content:"";display:inline-block;width:.6rem;height:.6rem;border-radius:50%;margin-right:.4rem;background:var(--line)}
#reach.good::before{background:var(--good)}#reach.bad::before{background:var(--bad)}
main{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:1rem;padding:1rem clamp(.8rem,3vw,2rem) 3rem;max-width:90rem;margin:0 auto;align-items:start}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem;min-width:0}
#drawn,#versions,#live{grid-column:1/-1}
@media (min-width:75rem){main{grid-template-columns:minmax(0,1fr) minmax(0,1fr) minmax(0,18rem)}#ask,#said,#live{grid-row:1}#live{grid-column:3}#curves{grid-template-columns:minmax(0,1fr)}}
@media (max-width:45rem){main{grid-template-columns:minmax(0,1fr)}section{border-radius:.4rem;padding:.8rem}}
label,legend{font-weight:600;font-size:.9rem}
label{display:block}
textarea,input{width:100%;font:inherit;color:inherit;background:var(--paper);border:1px solid var(--line);border-radius:.4rem;padding:.5rem;margin:.2rem 0 .7rem}
textarea{resize:vertical;min-height:2.6rem}
fieldset{border:0;margin:0;padding:0}
.chips{display:flex;flex-wrap:wrap;gap:.4rem;margin:.3rem 0 .7rem}
.chip{display:inline-flex;align-items:center;border:1px solid var(--line);border-radius:1rem;padding:.15rem .65rem;font-size:.85rem}
label.chip{font-weight:400;cursor:pointer;min-height:2rem}
label.chip input{width:auto;margin:0 .4rem 0 0;accent-color:var(--accent)}
label.chip.off{opacity:.5;cursor:not-allowed}
header .chips{margin:0}
button{font:inherit;font-weight:600;color:var(--on-accent);background:var(--accent);border:1px solid var(--accent);border-radius:.4rem;padding:.45rem 1rem;min-height:2.5rem;cursor:pointer}
button[type=button]{color:var(--accent);background:transparent}
button.sure{color:#fff;background:#b3261e;border-color:#b3261e}
button:disabled{opacity:.5;cursor:default}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.row{display:flex;flex-wrap:wrap;align-items:center;gap:.6rem;margin:.3rem 0}
.row input{width:14rem;max-width:100%;margin:0}
.faint{color:var(--faint);font-weight:400;font-size:.85rem}
#outcome,#changed{margin:0 0 .5rem;font-size:.9rem;color:var(--faint);overflow-wrap:anywhere}
.bad-news{color:var(--bad)!important}
#answers{list-style:none;margin:0;padding:0;display:grid;gap:.5rem}
#answers li{border:1px solid var(--line);border-left:.3rem solid var(--own);border-radius:.4rem;padding:.45rem .7rem}
#answers li.waiting{border-left-color:var(--line);color:var(--faint)}
.answer-head{display:flex;flex-wrap:wrap;gap:.1rem .7rem;align-items:baseline}
.answer-head .task{font-size:.85rem;color:var(--faint);min-width:5rem}
.answer-head .value{font-weight:650;overflow-wrap:anywhere}
.answer-head .time{margin-left:auto;font-size:.8rem;color:var(--faint);font-variant-numeric:tabular-nums}
.scores{display:grid;grid-template-columns:minmax(4rem,max-content) minmax(2rem,1fr) max-content;gap:.1rem .6rem;margin:.3rem 0 0;font-size:.8rem;color:var(--faint);align-items:center}
.scores .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;max-width:10rem}
.scores .number{font-variant-numeric:tabular-nums;text-align:right}
.bar{display:block;height:.45rem;border-radius:.25rem;background:var(--idle);overflow:hidden}
.bar>span{display:block;height:100%;width:0;background:var(--own)}
.legend{margin:0 0 .4rem;font-size:.85rem;color:var(--faint);display:flex;gap:1rem;flex-wrap:wrap}
.key::before{content:"";display:inline-block;width:.9rem;height:.75rem;border-radius:.2rem;margin-right:.35rem;vertical-align:-.05rem;border:1.5px solid var(--line);background:var(--idle)}
.key.trunk::before{border-color:var(--trunk);background:var(--trunk-fill)}.key.own::before{border-color:var(--own);background:var(--own-fill)}
.scroll{overflow-x:auto}
#picture svg{width:max(var(--natural),min(100%,1.4*var(--natural)));height:auto}
svg{display:block;font:12px system-ui,sans-serif}
svg text{fill:var(--ink)}svg .note{fill:var(--faint)}
svg .cell{fill:var(--idle);stroke:var(--line);stroke-width:1.5}
svg .wire{fill:none;stroke:var(--line);stroke-width:2}
svg .idle text{fill:var(--faint)}
svg .planned .cell{stroke-dasharray:3 3}
svg .trunk.planned .cell{stroke:var(--trunk)}svg .own.planned .cell{stroke:var(--own)}
svg .trunk.ran .cell{fill:var(--trunk-fill);stroke:var(--trunk)}svg .own.ran .cell{fill:var(--own-fill);stroke:var(--own)}
svg .own.ran .left .cell{fill:var(--idle);stroke:var(--line)}
svg .trunk.ran .wire{stroke:var(--trunk)}svg .own.ran .wire{stroke:var(--own)}
svg .cell,svg .wire{transition:fill .25s,stroke .25s}
svg .curve{fill:none;stroke:var(--accent);stroke-width:1.75;vector-effect:non-scaling-stroke}svg .curve.second{stroke:var(--own)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(7.5rem,1fr));gap:.5rem;margin:0 0 .6rem}
dl div{background:var(--paper);border-radius:.4rem;padding:.35rem .6rem}
dt{font-size:.78rem;color:var(--faint)}
dd{margin:0;font-weight:650;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
#curves{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.6rem 1.5rem}
figure{margin:0}figcaption{font-size:.78rem;color:var(--faint)}
figure svg{width:100%;height:3.2rem;border-bottom:1.5px solid var(--line)}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:middle}
th{font-size:.78rem;color:var(--faint)}
td.number,th.number{text-align:right}
tr.gone{color:var(--faint)}
td .chip{font-size:.75rem;padding:0 .5rem}
td button{min-height:2rem;padding:.15rem .7rem;white-space:nowrap}
@media (max-width:45rem){#history thead{display:none}#history,#history tbody{display:block}
#history tr{display:flex;flex-wrap:wrap;gap:.1rem .8rem;align-items:center;padding:.5rem 0;border-bottom:1px solid var(--line)}
#history td{border:0;padding:0;overflow-wrap:anywhere}#history td:nth-child(4){flex-basis:100%;color:var(--faint)}}
@media (pointer:coarse){#keys{display:none}}
details summary{cursor:pointer;font-size:.9rem;margin:.5rem 0}
[hidden]{display:none!important}
@media (prefers-reduced-motion:no-preference){.bar>span{transition:width .25s}#answers li{animation:come .2s}
svg .planned .cell{animation:wait 1s ease-in-out infinite alternate}
@keyframes come{from{opacity:0;transform:translateY(.3rem)}}@keyframes wait{to{stroke-opacity:.35}}}
@media (prefers-reduced-motion:reduce){*{transition:none!important;animation:none!important}}
`.trim();
