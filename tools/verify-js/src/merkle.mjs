// Trees of RFC 9162: roots, inclusion (2.1.3.2) and consistency (2.1.4.2).
import { equal, nodeHash, sha256 } from "./bytes.mjs";

export const PATH_MAX = 64;

/** Root over leaf hashes, by perfect subtrees from the left. */
export function rootOf(leaves) {
  const stack = []; // {height, hash}, heights descend
  for (const hash of leaves) {
    let node = { height: 0, hash };
    while (stack.length && stack[stack.length - 1].height === node.height)
      node = { height: node.height + 1, hash: nodeHash(stack.pop().hash, node.hash) };
    stack.push(node);
  }
  if (!stack.length) return sha256(new Uint8Array(0));
  let root = stack.pop().hash;
  while (stack.length) root = nodeHash(stack.pop().hash, root);
  return root;
}

export function verifyInclusion(leaf, index, size, path, root) {
  if (index >= size) return false;
  let fn = index, sn = size - 1n, r = leaf;
  for (const p of path) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      r = nodeHash(p, r);
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      r = nodeHash(r, p);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && equal(r, root);
}

export function verifyConsistency(size1, root1, size2, root2, path) {
  if (size1 === 0n || size1 > size2) return false;
  if (size1 === size2) return path.length === 0 && equal(root1, root2);
  const nodes = (size1 & (size1 - 1n)) === 0n ? [root1, ...path] : [...path];
  if (!nodes.length) return false;
  let fn = size1 - 1n, sn = size2 - 1n;
  while (fn & 1n) {
    fn >>= 1n;
    sn >>= 1n;
  }
  let fr = nodes[0], sr = nodes[0];
  for (const c of nodes.slice(1)) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      sr = nodeHash(sr, c);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && equal(fr, root1) && equal(sr, root2);
}
