/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/*
 * backup.c: see backup.h.
 *
 * The file, all numbers little-endian:
 *
 *       0       8  "FRANKBK1"
 *       8       8  made at, seconds since 1970
 *      16      32  salt
 *      48       4  log2 N of scrypt
 *      52       4  r
 *      56       4  p
 *      60       4  zero
 *      64      32  HMAC-SHA256 over all before: tells a wrong passphrase
 *      96      32  SHA-256 over all before: tells an accident
 *     128          frames, one after the other
 *
 * A frame:
 *       0       4  n, octets of its inside: 1 to 48 Ki
 *       4       n  the inside, sealed by AES-256-GCM
 *     4+n      16  its tag
 *
 * The inside of a record's frame: u16 length of the account's name, u64 generation of the credential,
 * the name, and the octets of credential.c. The inside of the last frame: u64 count of the records;
 * nothing follows it.
 *
 * S = scrypt(passphrase, salt). Key of the frames: HKDF-SHA256(S, salt, "frank backup 1"); of the HMAC:
 * HKDF-SHA256(S, salt, "frank backup check 1"). Nonce of a frame: its number from 0 (8 octets), then
 * u32 1 for the last frame, else 0: frames cannot be left out, repeated, exchanged or cut off.
 * Associated data: the header, and the frame's n. The salt is fresh for every file, so no key meets a
 * nonce twice.
 */
#include "tokenstore/backup.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "tokenstore/keyslots.h"

enum {
	CHECKED = 64, /* octets of the header before its HMAC */
	HASHED = 96,
	AT_TIME = 8,
	AT_SALT = 16,
	AT_SCRYPT = 48,
	RECORD_HEAD = 10,
	LENGTH = 4,
	SCRYPT_LOG2N_MAX = 18,
	SCRYPT_R_MAX = 16,
	SCRYPT_P_MAX = 4,
};

static const uint8_t magic[8] = {'F', 'R', 'A', 'N', 'K', 'B', 'K', '1'};

const char *
backup_verdict_text(enum backup_verdict v)
{
	static const char *const texts[] = {
	    [BACKUP_GOOD] = "The backup is sound.",
	    [BACKUP_END] = "The backup is sound.",
	    [BACKUP_WRONG_PASSPHRASE] = "The passphrase is not the one of this backup.",
	    [BACKUP_DAMAGED] =
		"The file is no backup of a token store, or it is damaged or cut short.",
	    [BACKUP_NEWER] = "The backup was made by a later release of Frank.",
	    [BACKUP_FAILED] = "The backup cannot be read.",
	};

	return texts[v];
}

void
backup_record_clear(struct backup_record *r)
{
	(void)secret_free(r->payload);
	*r = (struct backup_record){0};
}

void
backup_clear(struct backup *b)
{
	(void)secret_free(b->key);
	*b = (struct backup){0};
}

static uint32_t
header_u32(const struct backup *b, size_t at)
{
	uint32_t v;

	memcpy(&v, b->header + at, sizeof(v));
	return le32toh(v);
}

static void
header_set_u32(struct backup *b, size_t at, uint32_t v)
{
	v = htole32(v);
	memcpy(b->header + at, &v, sizeof(v));
}

/* The key of the frames, and the HMAC of the header. */
static int
derive(struct backup *b, const struct secret *passphrase, uint8_t ret_mac[SEAL_HASH])
{
	const uint8_t *salt = b->header + AT_SALT;
	uint8_t stretched[SEAL_KEY], check[SEAL_KEY];
	int r;

	b->key = secret_new_zero(SEAL_KEY);
	if (b->key == NULL)
		return -ENOMEM;
	r = seal_scrypt(secret_bytes(passphrase), secret_len(passphrase), salt, BACKUP_SALT,
	    header_u32(b, AT_SCRYPT), header_u32(b, AT_SCRYPT + 4), header_u32(b, AT_SCRYPT + 8),
	    stretched);
	if (r == 0)
		r = seal_hkdf(stretched, sizeof(stretched), salt, BACKUP_SALT, "frank backup 1",
		    secret_fill(b->key), SEAL_KEY);
	if (r == 0)
		r = seal_hkdf(stretched, sizeof(stretched), salt, BACKUP_SALT,
		    "frank backup check 1", check, sizeof(check));
	if (r == 0)
		r = seal_hmac(check, b->header, CHECKED, ret_mac);
	mem_wipe(stretched, sizeof(stretched));
	mem_wipe(check, sizeof(check));
	return r;
}

static void
make_nonce(uint64_t frame, bool last, uint8_t ret[SEAL_NONCE])
{
	uint64_t number = htole64(frame);
	uint32_t end = htole32(last);

	memcpy(ret, &number, sizeof(number));
	memcpy(ret + sizeof(number), &end, sizeof(end));
}

static void
make_associated(
    const struct backup *b, const uint8_t length[LENGTH], uint8_t ret[BACKUP_HEADER + LENGTH])
{
	memcpy(ret, b->header, BACKUP_HEADER);
	memcpy(ret + BACKUP_HEADER, length, LENGTH);
}

/* ---- writing ---- */

static int
put(struct backup *b, const void *bytes, size_t len)
{
	int r = file_write_full(b->ops, b->fd, bytes, len, b->at);

	if (r == 0)
		b->at += (off_t)len;
	return r;
}

int
backup_write_begin(struct backup *b, const struct file_ops *ops, int fd,
    const struct secret *passphrase, uint64_t wall)
{
	int r;

	*b = (struct backup){.ops = ops, .fd = fd, .made_at = wall};
	if (!keyslot_key_fits(KEYSLOT_PASSPHRASE, passphrase))
		return -EINVAL;
	memcpy(b->header, magic, sizeof(magic));
	wall = htole64(wall);
	memcpy(b->header + AT_TIME, &wall, sizeof(wall));
	header_set_u32(b, AT_SCRYPT, SCRYPT_LOG2N);
	header_set_u32(b, AT_SCRYPT + 4, SCRYPT_R);
	header_set_u32(b, AT_SCRYPT + 8, SCRYPT_P);
	r = ops->random(ops->arg, b->header + AT_SALT, BACKUP_SALT);
	if (r == 0)
		r = derive(b, passphrase, b->header + CHECKED);
	if (r == 0)
		r = seal_sha256(b->header, HASHED, NULL, 0, b->header + HASHED);
	return r < 0 ? r : put(b, b->header, sizeof(b->header));
}

static int
write_frame(struct backup *b, const struct secret *inside, bool last)
{
	uint8_t associated[BACKUP_HEADER + LENGTH], nonce[SEAL_NONCE];
	size_t len = secret_len(inside);
	CLEANUP_FREE uint8_t *frame = malloc(LENGTH + len + SEAL_TAG);
	uint32_t length = htole32((uint32_t)len);
	int r;

	if (frame == NULL)
		return -ENOMEM;
	memcpy(frame, &length, LENGTH);
	make_associated(b, frame, associated);
	make_nonce(b->frames, last, nonce);
	r = seal_encrypt(secret_bytes(b->key), nonce, associated, sizeof(associated),
	    secret_bytes(inside), len, frame + LENGTH, frame + LENGTH + len);
	if (r == 0)
		r = put(b, frame, LENGTH + len + SEAL_TAG);
	if (r == 0)
		b->frames++;
	return r;
}

int
backup_write_record(
    struct backup *b, const char *name, uint64_t generation, const struct secret *payload)
{
	size_t name_len = strlen(name), len = RECORD_HEAD + name_len + secret_len(payload);
	CLEANUP_SECRET struct secret *inside = NULL;
	uint16_t head;
	uint8_t *to;

	if (name_len == 0 || name_len > BACKUP_NAME_MAX || len > SECRET_MAX)
		return -E2BIG;
	inside = secret_new_zero(len);
	if (inside == NULL)
		return -ENOMEM;
	to = secret_fill(inside);
	head = htole16((uint16_t)name_len);
	generation = htole64(generation);
	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), &generation, sizeof(generation));
	memcpy(to + RECORD_HEAD, name, name_len);
	memcpy(to + RECORD_HEAD + name_len, secret_bytes(payload), secret_len(payload));
	return write_frame(b, inside, false);
}

int
backup_write_end(struct backup *b)
{
	uint64_t count = htole64(b->frames);
	CLEANUP_SECRET struct secret *inside = secret_new(&count, sizeof(count));
	int r = inside == NULL ? -ENOMEM : write_frame(b, inside, true);

	return r < 0 ? r : b->ops->fdatasync(b->ops->arg, b->fd);
}

/* ---- reading ---- */

static enum backup_verdict
get(struct backup *b, void *to, size_t len)
{
	ssize_t n = file_read_full(b->ops, b->fd, to, len, b->at);

	if (n < 0)
		return BACKUP_FAILED;
	if ((size_t)n < len)
		return BACKUP_DAMAGED;
	b->at += n;
	return BACKUP_GOOD;
}

static enum backup_verdict
check_header(const struct backup *b)
{
	uint32_t log2n = header_u32(b, AT_SCRYPT), r = header_u32(b, AT_SCRYPT + 4),
		 p = header_u32(b, AT_SCRYPT + 8);
	uint8_t hash[SEAL_HASH];

	if (memcmp(b->header, magic, sizeof(magic)) != 0)
		return memcmp(b->header, magic, sizeof(magic) - 1) == 0 ? BACKUP_NEWER
									: BACKUP_DAMAGED;
	if (seal_sha256(b->header, HASHED, NULL, 0, hash) < 0)
		return BACKUP_FAILED;
	if (memcmp(hash, b->header + HASHED, SEAL_HASH) != 0)
		return BACKUP_DAMAGED;
	/* what a stranger's file may ask for at most: half a gigabyte */
	if (log2n < 1 || log2n > SCRYPT_LOG2N_MAX || r < 1 || r > SCRYPT_R_MAX || p < 1 ||
	    p > SCRYPT_P_MAX)
		return BACKUP_DAMAGED;
	return BACKUP_GOOD;
}

enum backup_verdict
backup_read_begin(
    struct backup *b, const struct file_ops *ops, int fd, const struct secret *passphrase)
{
	enum backup_verdict v;
	uint8_t mac[SEAL_HASH];
	uint64_t wall;

	*b = (struct backup){.ops = ops, .fd = fd};
	v = get(b, b->header, sizeof(b->header));
	if (v == BACKUP_GOOD)
		v = check_header(b);
	if (v != BACKUP_GOOD)
		return v;
	memcpy(&wall, b->header + AT_TIME, sizeof(wall));
	b->made_at = le64toh(wall);
	if (derive(b, passphrase, mac) < 0)
		return BACKUP_FAILED;
	return mem_equal_ct(mac, b->header + CHECKED, SEAL_HASH) ? BACKUP_GOOD
								 : BACKUP_WRONG_PASSPHRASE;
}

/* The inside of an opened frame. 0, -EBADMSG, -ENOMEM. */
static int
parse_record(const uint8_t *bytes, size_t len, struct backup_record *ret)
{
	uint16_t name_len;
	uint64_t generation;

	*ret = (struct backup_record){0};
	if (len < RECORD_HEAD)
		return -EBADMSG;
	memcpy(&name_len, bytes, sizeof(name_len));
	memcpy(&generation, bytes + sizeof(name_len), sizeof(generation));
	name_len = le16toh(name_len);
	if (name_len == 0 || name_len > BACKUP_NAME_MAX || name_len > len - RECORD_HEAD ||
	    memchr(bytes + RECORD_HEAD, '\0', name_len) != NULL)
		return -EBADMSG;
	memcpy(ret->name, bytes + RECORD_HEAD, name_len);
	ret->generation = le64toh(generation);
	ret->payload = secret_new(bytes + RECORD_HEAD + name_len, len - RECORD_HEAD - name_len);
	return ret->payload == NULL ? -ENOMEM : 0;
}

/* The last frame: its count is that of the records, and nothing follows. */
static enum backup_verdict
check_end(struct backup *b, const struct secret *inside)
{
	int64_t size = b->ops->size(b->ops->arg, b->fd);
	uint64_t count;

	if (size < 0)
		return BACKUP_FAILED;
	if (secret_len(inside) != sizeof(count) || size != b->at)
		return BACKUP_DAMAGED;
	memcpy(&count, secret_bytes(inside), sizeof(count));
	return le64toh(count) == b->frames ? BACKUP_END : BACKUP_DAMAGED;
}

/* Opens one frame as a record's, else as the last. */
static enum backup_verdict
open_frame(struct backup *b, const uint8_t length[LENGTH], const uint8_t *sealed,
    struct secret *inside, bool *ret_last)
{
	uint8_t associated[BACKUP_HEADER + LENGTH], nonce[SEAL_NONCE];
	size_t len = secret_len(inside);
	int r = -EBADMSG;

	make_associated(b, length, associated);
	for (int last = 0; last < 2 && r == -EBADMSG; last++) {
		*ret_last = last;
		make_nonce(b->frames, last, nonce);
		r = seal_decrypt(secret_bytes(b->key), nonce, associated, sizeof(associated),
		    sealed, len, secret_fill(inside), sealed + len);
	}
	return r == 0 ? BACKUP_GOOD : r == -EBADMSG ? BACKUP_DAMAGED : BACKUP_FAILED;
}

enum backup_verdict
backup_read_record(struct backup *b, struct backup_record *ret)
{
	CLEANUP_SECRET struct secret *inside = NULL;
	CLEANUP_FREE uint8_t *sealed = NULL;
	enum backup_verdict v;
	uint8_t length[LENGTH];
	uint32_t len;
	bool last;
	int r;

	*ret = (struct backup_record){0};
	v = get(b, length, sizeof(length));
	if (v != BACKUP_GOOD)
		return v;
	memcpy(&len, length, sizeof(len));
	len = le32toh(len);
	if (len < 1 || len > SECRET_MAX)
		return BACKUP_DAMAGED;
	sealed = malloc(len + SEAL_TAG);
	inside = secret_new_zero(len);
	if (sealed == NULL || inside == NULL)
		return BACKUP_FAILED;
	v = get(b, sealed, len + SEAL_TAG);
	if (v == BACKUP_GOOD)
		v = open_frame(b, length, sealed, inside, &last);
	if (v != BACKUP_GOOD)
		return v;
	if (last)
		return check_end(b, inside);
	b->frames++;
	r = parse_record(secret_bytes(inside), len, ret);
	return r == 0 ? BACKUP_GOOD : r == -EBADMSG ? BACKUP_DAMAGED : BACKUP_FAILED;
}
