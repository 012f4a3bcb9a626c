// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// @title Verifier of what a Carnet ledger made final, for ledgers of the Ethereum type.
/// @notice It checks the validators' own votes (ecrecover), then a path to a root in the block that they finalized: RFC 9162 for
/// the log, ICS-23 (tendermintSpec) for the state. It knows one epoch, the newest it was told of, and moves on by closing blocks.
/// Nobody owns it and nothing in it can be changed otherwise. Layouts: docs/byte-layouts.md; calldata: docs/evm.md.
contract CarnetVerifier {
    /// Which step of the verification fails, named as `carnet verify` names it, and why.
    error Refused(string step, string reason);

    event EpochAdvanced(uint64 indexed epoch, bytes32 set, uint64 closingHeight);

    /// A final block: headers of 229 bytes, each following the one before, the first being the block that proofs lead to; the
    /// finalization of the last one; and for each of its signatures in order, 27 or 28 (ecrecover's v, which is not stored).
    struct Finality {
        bytes headers;
        bytes certificate;
        bytes v;
    }

    /// A neighbour of an absent key in the state map; an empty key: there is none on this side.
    struct Neighbour {
        bytes key;
        bytes value;
        bytes32[] siblings;
        bytes sides;
    }

    struct Checkpoint {
        uint64 height;
        uint64 timeMs;
        uint64 logSize;
        bytes32 logRoot;
        bytes32 stateRoot;
    }

    uint256 private constant HEADER = 229;
    uint256 private constant ROW = 182;
    uint256 private constant ADDRESS_IN_ROW = 65;
    uint256 private constant MAX_VALIDATORS = 32;
    uint256 private constant MAX_HEADERS = 256;
    uint256 private constant KEY = 33;
    uint256 private constant MAX_DEPTH = 264;
    uint256 private constant BITMAP = 50; // where the bitmap begins: kind 1, epoch 8, view 8, block 32, n 1
    uint8 private constant FINALIZE = 3;
    uint8 private constant NORMAL = 0;
    uint8 private constant CLOSING = 2;
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    bytes32 private immutable tagVote = sha256("carnet/vote");
    bytes32 private immutable tagBlock = sha256("carnet/block");
    bytes32 private immutable tagSet = sha256("carnet/set");

    /// The ledger: T("carnet/genesis", G).
    bytes32 public immutable network;
    /// The only epoch whose votes count here.
    uint64 public epoch;
    /// Height of the closing block that began it; 0 for epoch 1.
    uint64 public closingHeight;
    /// T("carnet/set", rows) of the epoch.
    bytes32 public set;
    address[] private validators;

    /// Whoever deploys it vouches for the epoch that it begins with, as `carnet verify` proves it from the genesis digest.
    constructor(bytes32 network_, uint64 epoch_, uint64 closingHeight_, bytes memory rows) {
        network = network_;
        epoch = epoch_;
        closingHeight = closingHeight_;
        set = sha256(abi.encodePacked(sha256("carnet/set"), sha256("carnet/set"), rows));
        _takeRows(rows);
    }

    function validatorCount() external view returns (uint256) {
        return validators.length;
    }

    /// @notice The record with this digest is statement `index` of the log. entry = SHA-256 of the record.
    function verifyStatement(Finality calldata f, bytes32 entry, uint64 index, bytes32[] calldata path)
        external
        view
        returns (uint64 height, uint64 timeMs)
    {
        Checkpoint memory c = _checkpoint(f);
        if (index >= c.logSize) revert Refused("inclusion", "the log is shorter");
        if (_inclusionRoot(sha256(abi.encodePacked(hex"00", entry)), index, c.logSize, path) != c.logRoot) {
            revert Refused("inclusion", "the path does not lead to the log root");
        }
        return (c.height, c.timeMs);
    }

    /// @notice The value lies under the key (33 bytes) in the state. sides: one byte a step from the leaf upwards, 1 where
    /// the node is the left child of its parent.
    function verifyState(
        Finality calldata f,
        bytes calldata key,
        bytes calldata value,
        bytes32[] calldata siblings,
        bytes calldata sides
    ) external view returns (uint64 height, uint64 timeMs) {
        Checkpoint memory c = _checkpoint(f);
        if (_stateRoot(key, value, siblings, sides) != c.stateRoot) {
            revert Refused("completeness", "the proof does not lead to the state root");
        }
        return (c.height, c.timeMs);
    }

    /// @notice Nothing lies under the key: its neighbours are next to each other.
    function verifyAbsence(Finality calldata f, bytes calldata key, Neighbour calldata left, Neighbour calldata right)
        external
        view
        returns (uint64 height, uint64 timeMs)
    {
        Checkpoint memory c = _checkpoint(f);
        if (key.length != KEY) revert Refused("completeness", "a key has 33 bytes");
        bool hasLeft = left.key.length != 0;
        bool hasRight = right.key.length != 0;
        if (hasLeft) _checkNeighbour(left, c.stateRoot);
        if (hasRight) _checkNeighbour(right, c.stateRoot);
        if (hasLeft && !_below(left.key, key)) revert Refused("completeness", "the left neighbour is not below the key");
        if (hasRight && !_below(key, right.key)) revert Refused("completeness", "the right neighbour is not above the key");
        bool adjacent;
        if (hasLeft && hasRight) adjacent = _adjacent(left, right);
        else if (hasLeft) adjacent = _allOnSide(left.sides, left.sides.length, 0);
        else if (hasRight) adjacent = _allOnSide(right.sides, right.sides.length, 1);
        if (!adjacent) revert Refused("completeness", "the neighbours are not next to each other");
        return (c.height, c.timeMs);
    }

    /// @notice Moves on to the set that a closing block names, which the present set made final. Anybody may call it.
    function advance(Finality calldata f, bytes calldata rows) external {
        if (f.headers.length != HEADER) revert Refused("epoch-chain", "one closing header is wanted");
        Checkpoint memory c = _checkpoint(f);
        if (uint8(f.headers[4]) != CLOSING) revert Refused("epoch-chain", "the block does not close an epoch");
        bytes32 next = sha256(abi.encodePacked(tagSet, tagSet, rows));
        if (next != _word(f.headers, 197)) revert Refused("epoch-chain", "the rows are not those that the block names");
        epoch += 1;
        closingHeight = c.height;
        set = next;
        _takeRows(rows);
        emit EpochAdvanced(epoch, next, c.height);
    }

    // ---- finality ----

    function _checkpoint(Finality calldata f) private view returns (Checkpoint memory c) {
        bytes calldata h = f.headers;
        uint256 count = h.length / HEADER;
        if (count == 0 || count > MAX_HEADERS || h.length != count * HEADER) {
            revert Refused("quorum", "a header has 229 bytes");
        }
        bytes32 last;
        for (uint256 i = 0; i < count; i++) {
            bytes calldata one = h[i * HEADER:(i + 1) * HEADER];
            if (uint32(bytes4(one[0:4])) != 1 || uint8(one[4]) > CLOSING) revert Refused("quorum", "not a header of version 1");
            if (_u64(one, 5) != epoch || _word(one, 165) != set || _u64(one, 13) <= closingHeight) {
                revert Refused("epoch-chain", "the header is not of the epoch that is known here");
            }
            if (i > 0 && (_word(one, 29) != last || _u64(one, 13) != c.height + i)) {
                revert Refused("quorum", "a header does not follow the one before");
            }
            last = sha256(abi.encodePacked(tagBlock, tagBlock, one));
            if (i == 0) {
                if (uint8(one[4]) == NORMAL) revert Refused("quorum", "the first header is not a checkpoint");
                c = Checkpoint(_u64(one, 13), _u64(one, 21), _u64(one, 61), _word(one, 69), _word(one, 101));
            }
        }
        _checkVotes(f.certificate, f.v, last);
    }

    function _checkVotes(bytes calldata certificate, bytes calldata v, bytes32 blockDigest) private view {
        uint256 n = validators.length;
        uint256 quorum = (n + (n - 1) / 3) / 2 + 1;
        uint256 at = BITMAP + (n + 7) / 8;
        if (certificate.length != at + 64 * quorum || v.length != quorum) {
            revert Refused("quorum", "exactly a quorum of signatures is wanted");
        }
        if (uint8(certificate[0]) != FINALIZE) revert Refused("quorum", "the votes are not to finalize");
        if (_u64(certificate, 1) != epoch || uint8(certificate[49]) != n) {
            revert Refused("quorum", "the votes are of another epoch or set");
        }
        if (_word(certificate, 17) != blockDigest) revert Refused("quorum", "the votes name another block");
        // T("carnet/vote", network | epoch u64 | kind u8 | view u64 | block)
        bytes32 vote = sha256(
            abi.encodePacked(
                tagVote, tagVote, network, certificate[1:9], certificate[0:1], certificate[9:17], certificate[17:49]
            )
        );
        uint256 signed = 0;
        for (uint256 i = 0; i < _bitmapBits(n); i++) {
            if ((uint8(certificate[BITMAP + i / 8]) >> (i % 8)) & 1 == 0) continue;
            if (i >= n || signed == quorum) revert Refused("quorum", "the bitmap names others than signed");
            _checkVote(vote, certificate[at + 64 * signed:at + 64 * signed + 64], uint8(v[signed]), validators[i]);
            signed++;
        }
        if (signed != quorum) revert Refused("quorum", "the bitmap names fewer than signed");
    }

    /// Bits of the bitmap, those beyond the last validator too.
    function _bitmapBits(uint256 n) private pure returns (uint256) {
        return ((n + 7) / 8) * 8;
    }

    function _checkVote(bytes32 vote, bytes calldata signature, uint8 v, address validator) private pure {
        bytes32 s = _word(signature, 32);
        if (uint256(s) > HALF_ORDER) revert Refused("quorum", "a signature is not in its low-s form");
        address signer = ecrecover(vote, v, _word(signature, 0), s);
        if (signer == address(0) || signer != validator) revert Refused("quorum", "a signature is not its validator's");
    }

    function _takeRows(bytes memory rows) private {
        uint256 n = rows.length / ROW;
        if (n == 0 || n > MAX_VALIDATORS || rows.length != n * ROW) revert Refused("epoch-chain", "a row has 182 bytes");
        delete validators;
        for (uint256 i = 0; i < n; i++) {
            uint256 at = i * ROW + ADDRESS_IN_ROW;
            uint256 word;
            assembly ("memory-safe") {
                word := mload(add(add(rows, 32), at))
            }
            if (word >> 96 == 0) revert Refused("epoch-chain", "a row has no address");
            validators.push(address(uint160(word >> 96)));
        }
    }

    // ---- paths ----

    /// RFC 9162, 2.1.3.2.
    function _inclusionRoot(bytes32 node, uint64 index, uint64 size, bytes32[] calldata path)
        private
        pure
        returns (bytes32)
    {
        uint256 fn = index;
        uint256 sn = uint256(size) - 1;
        for (uint256 i = 0; i < path.length; i++) {
            if (sn == 0) revert Refused("inclusion", "the path is too long");
            if (fn & 1 == 1 || fn == sn) {
                node = sha256(abi.encodePacked(hex"01", path[i], node));
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                node = sha256(abi.encodePacked(hex"01", node, path[i]));
            }
            fn >>= 1;
            sn >>= 1;
        }
        if (sn != 0) revert Refused("inclusion", "the path is too short");
        return node;
    }

    /// Leaf and inner nodes as ICS-23's tendermintSpec has them; 33 and 32 are lengths in one byte each.
    function _stateRoot(bytes calldata key, bytes calldata value, bytes32[] calldata siblings, bytes calldata sides)
        private
        pure
        returns (bytes32 node)
    {
        if (key.length != KEY || value.length == 0 || siblings.length != sides.length || siblings.length > MAX_DEPTH) {
            revert Refused("completeness", "the proof is malformed");
        }
        node = sha256(abi.encodePacked(hex"00", uint8(KEY), key, uint8(32), sha256(value)));
        for (uint256 i = 0; i < siblings.length; i++) {
            uint8 side = uint8(sides[i]);
            if (side > 1) revert Refused("completeness", "a side is 0 or 1");
            node = side == 1
                ? sha256(abi.encodePacked(hex"01", node, siblings[i]))
                : sha256(abi.encodePacked(hex"01", siblings[i], node));
        }
    }

    function _checkNeighbour(Neighbour calldata n, bytes32 stateRoot) private pure {
        if (_stateRoot(n.key, n.value, n.siblings, n.sides) != stateRoot) {
            revert Refused("completeness", "a neighbour's proof does not lead to the state root");
        }
    }

    /// No leaf lies between the two: below the node where their paths part, left is the last leaf and right the first.
    function _adjacent(Neighbour calldata left, Neighbour calldata right) private pure returns (bool) {
        uint256 l = left.sides.length;
        uint256 r = right.sides.length;
        while (l > 0 && r > 0 && left.sides[l - 1] == right.sides[r - 1] && left.siblings[l - 1] == right.siblings[r - 1]) {
            l--;
            r--;
        }
        return l > 0 && r > 0 && uint8(left.sides[l - 1]) == 1 && uint8(right.sides[r - 1]) == 0
            && _allOnSide(left.sides, l - 1, 0) && _allOnSide(right.sides, r - 1, 1);
    }

    function _allOnSide(bytes calldata sides, uint256 count, uint8 side) private pure returns (bool) {
        for (uint256 i = 0; i < count; i++) {
            if (uint8(sides[i]) != side) return false;
        }
        return true;
    }

    function _below(bytes calldata a, bytes calldata b) private pure returns (bool) {
        bytes32 x = _word(a, 0);
        bytes32 y = _word(b, 0);
        return x < y || (x == y && uint8(a[32]) < uint8(b[32]));
    }

    // ---- reading ----

    function _u64(bytes calldata b, uint256 at) private pure returns (uint64) {
        return uint64(bytes8(b[at:at + 8]));
    }

    function _word(bytes calldata b, uint256 at) private pure returns (bytes32) {
        return bytes32(b[at:at + 32]);
    }
}
