// Drawings made by hand, where there is no component.

const NS = 'http://www.w3.org/2000/svg';

export function svgNode(name: string, attributes: Record<string, string>, ...children: SVGElement[]): SVGElement {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
