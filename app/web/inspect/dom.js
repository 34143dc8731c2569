// Elements, and the names of strangers. Nothing here takes markup: what comes from
// the broker becomes text, whatever it looks like.

export const by = (id) => document.getElementById(id);

/**
 * An element. `props`: `class`, `text`, `on` (listeners by event), else attributes;
 * absent where false, null or undefined.
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false)
      continue;
    if (name === 'text')
      made.textContent = value;
    else if (name === 'class')
      made.className = value;
    else if (name === 'on')
      for (const [event, listener] of Object.entries(value))
        made.addEventListener(event, listener);
    else
      made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((x) => x !== null && x !== undefined));
  return made;
}

/** Changes a text only where it differs: no layout for what stays. */
export function setText(node, text) {
  if (node.textContent !== text)
    node.textContent = text;
}

/** The same for a class. */
export function setClass(node, name) {
  if (node.className !== name)
    node.className = name;
}

const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu;

/**
 * A name as it is, with what nobody could see (controls, direction marks) written
 * out as `\u202e`: two names that differ look different.
 */
export function visible(name) {
  return String(name ?? '').replace(unseen,
    (x) => `\\u${x.codePointAt(0).toString(16).padStart(4, '0')}`);
}

/** A name of a stranger, isolated from the direction of what is around it. */
export function nameOf(text) {
  const shown = visible(text);
  return el('bdi', { class: 'name', text: shown, title: shown });
}
