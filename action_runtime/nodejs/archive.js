// Unpacks the archives that actions are uploaded as, and lets none of their members out of its folder.
'use strict';

const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

const MAX_UNPACKED_BYTES = 1024 ** 3; // of all members together: a small archive must not fill the disk
const END_BYTES = 22;
const COMMENT_BYTES = 65535;
const BLOCK = 512;

class ArchiveRefused extends Error {
  constructor(text) {
    super(`There was an error uncompressing the action archive: ${text}.`);
    this.name = 'ArchiveRefused';
  }
}

/**
 * Unpack a zip or tar.gz into an empty folder.
 *
 * @param {Buffer} archive
 * @param {string} folder
 * @throws {ArchiveRefused} It is none, is broken or too large, or a member climbs out; a part of it may be there.
 */
function unpack(archive, folder) {
  const members = archive.toString('latin1', 0, 2) === 'PK' ? zipMembers(archive) : tarMembers(archive);
  const links = [];
  let room = MAX_UNPACKED_BYTES;
  try {
    for (const { name, mode, directory, target, content } of members) {
      const place = path.resolve(folder, name);
      if (!name || name.includes('\0') || !inside(folder, place)) {
        throw new ArchiveRefused(`it climbs out of its folder: ${JSON.stringify(name)}`);
      }
      if (directory) {
        fs.mkdirSync(place, { recursive: true });
        continue;
      }
      fs.mkdirSync(path.dirname(place), { recursive: true });
      if (target !== undefined) {
        links.push([place, target]);
        continue;
      }
      const data = content(room);
      room -= data.length;
      if (room < 0) throw new ArchiveRefused(`it unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
      fs.writeFileSync(place, data);
      if (mode) fs.chmodSync(place, mode | 0o600);
    }
    link(folder, links);
  } catch (error) {
    throw error instanceof ArchiveRefused ? error : new ArchiveRefused(error.message);
  }
}

/** Make the links last, when nothing can be written through them any more. */
function link(folder, links) {
  for (const [place, target] of links) {
    if (!inside(folder, path.resolve(path.dirname(place), target))) {
      throw new ArchiveRefused(`it links out of its folder: ${path.relative(folder, place)}`);
    }
    fs.symlinkSync(target, place);
  }
  for (const [place] of links) {
    // A link to a link may still lead out; one to nowhere leads nowhere.
    if (fs.existsSync(place) && !inside(fs.realpathSync(folder), fs.realpathSync(place))) {
      throw new ArchiveRefused(`it links out of its folder: ${path.relative(folder, place)}`);
    }
  }
}

function inside(folder, place) {
  return place === folder || place.startsWith(folder + path.sep);
}

/** Source: PKWARE's APPNOTE; sizes above 4 GB and encryption cannot be in an action. */
function* zipMembers(archive) {
  const first = Math.max(0, archive.length - END_BYTES - COMMENT_BYTES);
  const end = archive.subarray(first).lastIndexOf('PK\x05\x06', undefined, 'latin1') + first;
  if (end < first || end + END_BYTES > archive.length) throw new ArchiveRefused('the zip archive has no end');
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (archive.toString('latin1', at, at + 4) !== 'PK\x01\x02') throw new ArchiveRefused('the zip archive is broken');
    const [method, size, name, extra, comment] = [
      archive.readUInt16LE(at + 10), archive.readUInt32LE(at + 20),
      archive.readUInt16LE(at + 28), archive.readUInt16LE(at + 30), archive.readUInt16LE(at + 32),
    ];
    const attributes = archive.readUInt32LE(at + 38) >>> 16;
    const start = archive.readUInt32LE(at + 42);
    const text = archive.toString('utf8', at + 46, at + 46 + name);
    const content = (most) => inflated(archive, start, size, method, most);
    const isLink = (attributes & 0o170000) === 0o120000;
    yield {
      name: text,
      mode: attributes & 0o777,
      directory: text.endsWith('/'),
      target: isLink ? content(4096).toString() : undefined,
      content,
    };
    at += 46 + name + extra + comment;
  }
}

function inflated(archive, start, size, method, most) {
  if (archive.toString('latin1', start, start + 4) !== 'PK\x03\x04') throw new ArchiveRefused('the zip archive is broken');
  const from = start + 30 + archive.readUInt16LE(start + 26) + archive.readUInt16LE(start + 28);
  const packed = archive.subarray(from, from + size);
  if (method === 0) return packed;
  if (method !== 8) throw new ArchiveRefused(`it is packed by method ${method}, which is neither store nor deflate`);
  return size ? zlib.inflateRawSync(packed, { maxOutputLength: Math.max(1, most) }) : packed;
}

/** Source: POSIX pax interchange format, with GNU's long names. */
function* tarMembers(archive) {
  const data = zlib.gunzipSync(archive, { maxOutputLength: MAX_UNPACKED_BYTES });
  const text = (from, length) => data.toString('utf8', from, from + length).replace(/\0.*$/s, '');
  let longer = {};
  for (let at = 0; at + BLOCK <= data.length && data[at] !== 0; ) {
    const size = parseInt(text(at + 124, 12).trim() || '0', 8);
    if (!(size >= 0)) throw new ArchiveRefused('the tar archive is broken');
    const body = data.subarray(at + BLOCK, at + BLOCK + size);
    const kind = text(at + 156, 1) || '0';
    const prefix = text(at + 257, 5) === 'ustar' ? text(at + 345, 155) : '';
    const header = at;
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (kind === 'x') longer = { ...longer, ...paxFields(body) };
    else if (kind === 'L') longer.path = body.toString().replace(/\0.*$/s, '');
    else if (kind === 'K') longer.linkpath = body.toString().replace(/\0.*$/s, '');
    else if (kind !== 'g') {
      if (!'0257'.includes(kind)) throw new ArchiveRefused('it holds a hard link, a device or a pipe');
      yield {
        name: longer.path ?? (prefix ? `${prefix}/${text(header, 100)}` : text(header, 100)),
        mode: parseInt(text(header + 100, 8).trim() || '0', 8) & 0o777,
        directory: kind === '5',
        target: kind === '2' ? longer.linkpath ?? text(header + 157, 100) : undefined,
        content: () => body,
      };
      longer = {};
    }
  }
}

function paxFields(body) {
  const fields = {};
  for (let at = 0; at < body.length; ) {
    const blank = body.indexOf(' ', at);
    const length = parseInt(body.toString('latin1', at, blank), 10);
    if (!(length > 0)) throw new ArchiveRefused('the tar archive is broken');
    const [, name, value] = /^([^=]*)=(.*)$/s.exec(body.toString('utf8', blank + 1, at + length - 1)) ?? [];
    fields[name] = value;
    at += length;
  }
  return fields;
}

module.exports = { unpack };
