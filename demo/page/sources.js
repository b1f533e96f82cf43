// @ts-check

const MARKS = ['a', 'b', 'c', 'd', 'e', 'f']

/** @type {(list: HTMLElement, answer: { connectors: string[], connected: string[] }) => void} */
export function showSources(list, { connectors, connected }) {
  list.replaceChildren(
    ...connectors.map((name, index) => {
      const item = document.createElement('li')
      const isOn = connected.includes(name)
      if (isOn) item.className = 'on'
      const mark = document.createElement('div')
      mark.className = `mark ${MARKS[index % MARKS.length]}`
      mark.setAttribute('aria-hidden', 'true')
      mark.textContent = name.slice(0, 2)
      const text = document.createElement('div')
      const title = document.createElement('b')
      title.textContent = name
      const state = document.createElement('small')
      if (isOn) state.className = 'yes'
      state.textContent = isOn ? '✓ Connected' : 'Not yet'
      text.append(title, state)
      item.append(mark, text)
      return item
    }),
  )
}
