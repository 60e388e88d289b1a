// What `emit` is in Python: the value leaves now, and steps that read it may fire before this function returns.
async function emit(name, value) {
  const reply = await fetch(`${process.env.__OW_DATAFLOW_URL}/outputs/${name}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(value),
  });
  if (!reply.ok) throw new Error(await reply.text());
}

async function main({ text }) {
  const titles = text.split('\n').filter((line) => line.startsWith('#')).map((line) => line.replace(/^[# ]+/, ''));
  for (const title of titles) await emit('title', title);
  return { titles };
}
