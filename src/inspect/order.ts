/** A name as a stem and the number that it ends in: `layer.` 3 of `layer.3`, `encoder_layer_` 0, '' 11. */
interface Numbered {
  readonly stem: string;
  readonly number: number | null;
}

export function numbered(name: string): Numbered {
  const [digits] = /(?:0|[1-9]\d{0,8})$/.exec(name) ?? [];
  return digits === undefined
    ? { stem: name, number: null }
    : { stem: name.slice(0, name.length - digits.length), number: Number(digits) };
}

/**
 * Siblings in the order in which they came, except that those of one stem count upwards in the places that they have: a file
 * that sorts its tensors by name has layer 10 before layer 2, and a checkpoint's unread layers come last.
 */
export function inOrder<T extends { readonly name: string }>(siblings: readonly T[]): T[] {
  const families = new Map<
    string,
    { readonly places: number[]; readonly members: { of: T; number: number }[] }
  >();
  siblings.forEach((of, place) => {
    const { stem, number } = numbered(of.name);
    if (number === null) return;
    const family = families.get(stem) ?? { places: [], members: [] };
    families.set(stem, family);
    family.places.push(place);
    family.members.push({ of, number });
  });
  const ordered = [...siblings];
  for (const { places, members } of families.values()) {
    members.sort((a, b) => a.number - b.number);
    places.forEach((place, i) => {
      ordered[place] = members[i]!.of;
    });
  }
  return ordered;
}
