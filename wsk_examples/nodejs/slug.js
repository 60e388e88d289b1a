function main({ title }) {
  const plain = title.normalize('NFKD').replace(/\p{M}/gu, '');
  return { slug: plain.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean).join('-') };
}
