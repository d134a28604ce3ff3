/** How the API's page looks: system fonts, light and dark, contents beside the text where there is room. */
export const pageStyle = `
:root{--ink:#1d2530;--soft:#5b6675;--line:#dfe4ea;--paper:#fff;--shade:#f5f7f9;--link:#0b5cad;
--get:#1a7f4b;--post:#0b5cad;--put:#9a6200;--delete:#b3261e;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#dfe6ee;--soft:#93a1b1;--line:#2b3542;--paper:#12171e;--shade:#1a212b;--link:#7db8f5;
--get:#5fce96;--post:#7db8f5;--put:#e3b25c;--delete:#f28b82}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1rem}
body{margin:0;color:var(--ink);background:var(--paper);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;display:grid;grid-template-columns:19rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.5rem 1.25rem 3rem;border-right:1px solid var(--line);background:var(--shade);font-size:.85rem;line-height:1.45}
nav ul{list-style:none;margin:0;padding:0}
nav>ul>li{margin-top:1rem}
nav>ul>li>a{font-weight:650;color:var(--ink)}
nav li li{padding-left:.1rem;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
nav li li a{color:var(--soft)}
nav .home{font-size:1.15rem;font-weight:700;letter-spacing:-.01em;color:var(--ink)}
.verb{display:inline-block;width:3.1em;font-variant:all-small-caps;letter-spacing:.04em}
main{max-width:64rem;padding:2.5rem clamp(1.25rem,4vw,4rem) 6rem}
h1{font-size:2.1rem;line-height:1.2;letter-spacing:-.02em;margin:0 0 .5rem}
h2{font-size:1.5rem;letter-spacing:-.015em;margin:3.5rem 0 .25rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:0;font-weight:600;overflow-wrap:anywhere}
p{max-width:44rem;margin:.5rem 0 1rem}
.lead{font-size:1.15rem;color:var(--soft)}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
code{font:.875em/1.4 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
td code,p code,li code{background:var(--shade);border:1px solid var(--line);border-radius:4px;padding:.05em .3em}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;width:100%;font-size:.875rem;line-height:1.5}
th{text-align:left;font-weight:600;color:var(--soft);white-space:nowrap}
th,td{padding:.45rem .75rem .45rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{white-space:nowrap}
.operation{margin:1.25rem 0;padding:.9rem 1.1rem;border:1px solid var(--line);border-radius:8px}
.operation:target{border-color:var(--link)}
.operation p{margin:.35rem 0}
.summary{color:var(--soft)}
.method{display:inline-block;min-width:4.2em;font-size:.75rem;font-weight:700;letter-spacing:.05em}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.delete{color:var(--delete)}
summary{cursor:pointer;color:var(--link);font-size:.875rem;width:max-content}
.answers{font-size:.875rem;margin:.5rem 0;padding-left:1.2rem}
@media (max-width:60rem){body{display:block}nav{position:static;height:auto;max-height:45vh;border-right:0;border-bottom:1px solid var(--line)}}
@media print{nav{display:none}body{display:block}details>*{display:block}}
`
