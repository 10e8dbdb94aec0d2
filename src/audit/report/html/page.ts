/**
 * The report as one page that holds everything it needs: it can be mailed, printed and kept. Its policy allows its own
 * style and nothing else: no script, no network, whatever strings the log holds.
 */
import { createHash } from 'node:crypto'
import type { Block, Code, Points, Section, Table } from '../document.ts'
import type { Report } from '../report.ts'
import { subtitleOf, titleOf } from '../sections.ts'
import { chartHtml } from './chart.ts'
import { escaped } from './escape.ts'
import { STYLE } from './style.ts'

export function pageOf(report: Report, sections: readonly Section[]): string {
  const title = escaped(titleOf(report))
  const links = sections.map(({ id, title: name }) => `<li><a href="#${id}">${escaped(name)}</a></li>`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p class="sub">${escaped(subtitleOf(report))}</p>
</header>
<nav aria-label="Sections"><ul>${links.join('')}</ul></nav>
<main>
${sections.map(sectionHtml).join('\n')}
</main>
</body>
</html>
`
}

function policy(): string {
  const hash = createHash('sha256').update(STYLE, 'utf8').digest('base64')
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`
}

function sectionHtml({ id, title, blocks }: Section): string {
  const parts = blocks.map((block, at) => blockHtml(block, `${id}-${at}`))
  return `<section aria-labelledby="${id}">
<h2 id="${id}">${escaped(title)}</h2>
${parts.join('\n')}
</section>`
}

function blockHtml(block: Block, id: string): string {
  switch (block.kind) {
    case 'words':
      return `<p>${proseHtml(block.text)}</p>`
    case 'points':
      return pointsHtml(block)
    case 'table':
      return tableHtml(block)
    case 'chart':
      return chartHtml(block, id)
    case 'code':
      return codeHtml(block)
  }
}

/** A number stays on one line with its unit. */
function proseHtml(text: string): string {
  return escaped(text).replace(/(\d) (?=(?:%|ms|s|min|h|d|[A-Z]{3})(?![\w]))/g, '$1&nbsp;')
}

const WEIGHTS = { bad: 'Problem.', notable: 'Note.', good: 'Good.', plain: '' }

function pointsHtml({ points }: Points): string {
  const items = points.map(({ weight, words, details }) => {
    const more = details.map((detail) => `<li>${proseHtml(detail)}</li>`).join('')
    const list = more === '' ? '' : `<ul>${more}</ul>`
    return `<li class="${weight}"><span class="weight">${WEIGHTS[weight]}</span>${proseHtml(words)}${list}</li>`
  })
  return `<ul class="findings">${items.join('\n')}</ul>`
}

/** Would make a column as wide as itself. */
const LONG_WORD = /\S{28}/
const STYLES = { words: '', moments: ' class="t"', figures: ' class="n"' }

function tableHtml({ caption, columns, rows }: Table): string {
  const style = (at: number, cell = '') => {
    const { holds } = columns[at]!
    return holds === 'words' && LONG_WORD.test(cell) ? ' class="w"' : STYLES[holds]
  }
  const head = columns.map(({ title }, at) => `<th scope="col"${style(at)}>${escaped(title)}</th>`)
  const body = rows.map((cells) => {
    const [first = '', ...others] = cells.map((cell, at) => ({ text: escaped(cell), style: style(at, cell) }))
    if (first === '') return ''
    const rest = others.map(({ text, style: of }) => `<td${of}>${text}</td>`)
    return `<tr><th scope="row"${first.style}>${first.text}</th>${rest.join('')}</tr>`
  })
  return `<div class="scroll" role="region" tabindex="0" aria-label="${escaped(caption)}"><table><caption>${escaped(caption)}</caption><thead><tr>${head.join('')}</tr></thead><tbody>
${body.join('\n')}
</tbody></table></div>`
}

function codeHtml({ caption, lines }: Code): string {
  return `<p>${escaped(caption)}</p><pre><code>${lines.map(escaped).join('\n')}</code></pre>`
}
