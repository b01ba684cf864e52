/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
/* Fuzz target: a message is read, its JSON made, each part decoded and its HTML made ready to be shown. All of it is UTF-8, for jansson
 * takes nothing else, and what is to be dropped from the HTML is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inbox/html.h"
#include "inbox/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
resolve(void *arg, const char *id, struct buf *out)
{
	struct inbox_part part;

	return inbox_message_part_by_cid(arg, id, &part) && buf_append_str(out, part.id) == 0;
}

static void
need(json_t *json)
{
	if (json == NULL)
		abort();
	json_decref(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int error, fd = memfd_create("message", MFD_CLOEXEC);
	struct inbox_message *m =
	    write(fd, data, size) == (ssize_t)size ? inbox_message_read(fd, &error) : NULL;
	struct buf view = BUF_INIT(4 * INBOX_BODY_MAX);
	struct inbox_part part;
	char *text;
	size_t n, len;

	(void)close(fd);
	if (m == NULL)
		abort();
	need(inbox_message_summary(m));
	need(inbox_message_details(m));
	need(inbox_message_headers(m));
	for (n = 0; inbox_message_part(m, n, &part); n++) {
		free(inbox_message_part_content(m, part.id, &len));
		if (strchr(part.name, '/') != NULL)
			abort();
	}
	if (n > INBOX_PARTS_MAX)
		abort();
	text = inbox_message_header_text(m);
	free(text);
	if (html_for_view(
		&view, inbox_message_html(m), strlen(inbox_message_html(m)), resolve, m) == 0 &&
	    strcasestr(buf_str(&view), "<meta ") != NULL)
		abort();
	buf_free(&view);
	(void)inbox_message_free(m);
	return 0;
}
