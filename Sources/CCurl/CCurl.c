#define _GNU_SOURCE
#include "CCurl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <zlib.h>

// Makes room for at least one more byte; false at the limit or without memory.
static bool grow(ccurl_sink *sink, size_t wanted) {
    if (wanted <= sink->body_capacity) return true;
    if (wanted > sink->body_limit) {
        sink->body_exceeded = true;
        return false;
    }
    size_t capacity = sink->body_capacity ? sink->body_capacity : 4096;
    while (capacity < wanted) capacity *= 2;
    if (capacity > sink->body_limit) capacity = sink->body_limit;
    bool has_room = !sink->has_room || capacity < 1u << 20 || sink->has_room(capacity);
    uint8_t *grown = NULL;
    if (has_room) {
        grown = sink->resize ? sink->resize(sink->resize_context, &capacity) : realloc(sink->body, capacity);
    }
    if (!grown) {
        sink->out_of_memory = true;
        return false;
    }
    sink->body = grown;
    sink->body_capacity = capacity < sink->body_limit ? capacity : sink->body_limit;
    return true;
}

static bool append(ccurl_sink *sink, const char *data, size_t length) {
    if (length > sink->body_limit - sink->body_length) {
        sink->body_exceeded = true;
        return false;
    }
    if (!grow(sink, sink->body_length + length)) return false;
    memcpy(sink->body + sink->body_length, data, length);
    sink->body_length += length;
    return true;
}

static bool start_inflating(ccurl_sink *sink) {
    z_stream *stream = calloc(1, sizeof *stream);
    if (!stream || inflateInit2(stream, 15 + 16) != Z_OK) { // +16: gzip's wrapping and nothing else
        free(stream);
        sink->out_of_memory = true;
        return false;
    }
    sink->inflater = stream;
    return true;
}

// One step of decompression at the end of the body, or at a probe byte once the body is at its limit: a stream that
// fills the limit exactly must still be able to reach its end.
static int inflate_step(ccurl_sink *sink, z_stream *stream) {
    Bytef probe;
    bool at_limit = sink->body_length == sink->body_limit;
    if (!at_limit && !grow(sink, sink->body_length + 1)) return Z_MEM_ERROR;
    size_t room = at_limit ? 1 : sink->body_capacity - sink->body_length;
    if (room > 1u << 30) room = 1u << 30;
    stream->next_out = at_limit ? &probe : sink->body + sink->body_length;
    stream->avail_out = (uInt)room;
    int result = inflate(stream, Z_NO_FLUSH);
    size_t written = room - stream->avail_out;
    if (at_limit && written > 0) {
        sink->body_exceeded = true;
        return Z_MEM_ERROR;
    }
    sink->body_length += written;
    return result;
}

static bool append_inflated(ccurl_sink *sink, char *data, size_t length) {
    if (!sink->inflater && !start_inflating(sink)) return false;
    z_stream *stream = sink->inflater;
    stream->next_in = (Bytef *)data;
    stream->avail_in = (uInt)length;
    while (stream->avail_in > 0) {
        if (sink->stream_ended) { // another member follows, as the format allows; anything else is an error below
            inflateReset(stream);
            sink->stream_ended = false;
        }
        int result = inflate_step(sink, stream);
        if (result == Z_STREAM_END) {
            sink->stream_ended = true;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            if (result == Z_DATA_ERROR || result == Z_NEED_DICT) sink->encoding_broken = true;
            else if (!sink->body_exceeded) sink->out_of_memory = true;
            return false;
        }
    }
    return true;
}

static bool keeps_body(const ccurl_sink *sink) {
    return sink->keep_all_bodies || sink->status == 200 || sink->status == 0;
}

static size_t take_body(char *data, size_t size, size_t count, void *context) {
    ccurl_sink *sink = context;
    size_t length = size * count;
    if (sink->discard_bodies) {
        sink->discarded_length += length;
        sink->body_exceeded = sink->discarded_length > sink->body_limit;
        return sink->body_exceeded ? 0 : length;
    }
    if (!keeps_body(sink)) {
        sink->discarded_length += length;
        return sink->discarded_length > CCURL_DISCARD_LIMIT ? 0 : length;
    }
    if (sink->encoding == CCURL_UNKNOWN_ENCODING) {
        sink->encoding_unknown = true;
        return 0;
    }
    bool taken = sink->encoding == CCURL_GZIP ? append_inflated(sink, data, length) : append(sink, data, length);
    if (taken && sink->on_piece) sink->on_piece(sink->piece_context);
    return taken ? length : 0;
}

static void note_encoding(ccurl_sink *sink, const char *value, size_t length) {
    while (length > 0 && (*value == ' ' || *value == '\t')) value++, length--;
    while (length > 0 && strchr(" \t\r\n", value[length - 1])) length--;
    bool is_gzip = (length == 4 && strncasecmp(value, "gzip", 4) == 0)
        || (length == 6 && strncasecmp(value, "x-gzip", 6) == 0);
    bool is_identity = length == 0 || (length == 8 && strncasecmp(value, "identity", 8) == 0);
    if (sink->encoding != CCURL_IDENTITY && !is_identity) sink->encoding = CCURL_UNKNOWN_ENCODING; // wrapped twice
    else if (is_gzip) sink->encoding = CCURL_GZIP;
    else if (!is_identity) sink->encoding = CCURL_UNKNOWN_ENCODING;
}

static size_t take_header(char *data, size_t size, size_t count, void *context) {
    static const char encoding[] = "content-encoding:";
    static const char content_length[] = "content-length:";
    ccurl_sink *sink = context;
    size_t length = size * count;
    if (length > sink->header_limit - sink->header_length) {
        sink->header_exceeded = true;
        return 0;
    }
    sink->header_length += length;
    if (length > 5 && memcmp(data, "HTTP/", 5) == 0) {
        const char *space = memchr(data, ' ', length);
        sink->status = space && space + 3 < data + length ? (int)strtol(space + 1, NULL, 10) : 0;
        sink->encoding = CCURL_IDENTITY;
        sink->declared_length = 0;
    } else if (length > sizeof content_length - 1
               && strncasecmp(data, content_length, sizeof content_length - 1) == 0) {
        unsigned long long declared = strtoull(data + sizeof content_length - 1, NULL, 10) + 1;
        if (sink->declared_length != 0 && declared != sink->declared_length) {
            sink->lengths_conflict = true;
            return 0;
        }
        sink->declared_length = declared;
        // Packed, a document is hardly ever longer than it is: one that says so much of itself need not be waited for.
        if (keeps_body(sink) && declared - 1 > sink->body_limit + sink->body_limit / 16 + 4096) {
            sink->body_exceeded = true;
            return 0;
        }
    } else if (length > sizeof encoding - 1 && strncasecmp(data, encoding, sizeof encoding - 1) == 0) {
        note_encoding(sink, data + sizeof encoding - 1, length - (sizeof encoding - 1));
    }
    return length;
}

// Where clouds keep what a machine may do in their name: link-local addresses, and those that some chose besides.
static bool is_metadata_v4(uint32_t address) {
    return (address & 0xFFFF0000u) == 0xA9FE0000u // 169.254.0.0/16
        || address == 0x646464C8u                 // 100.100.100.200, Alibaba
        || address == 0xC00000C0u                 // 192.0.0.192, Oracle
        || address == 0xA83F8110u;                // 168.63.129.16, Azure
}

static bool is_metadata_v6(const struct in6_addr *address) {
    const uint8_t *b = address->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        return is_metadata_v4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15]);
    }
    static const uint8_t ec2[14] = {0xfd, 0x00, 0x0e, 0xc2};
    static const uint8_t gcp[14] = {0xfd, 0x20, 0x00, 0xce};
    return IN6_IS_ADDR_LINKLOCAL(address) || memcmp(b, ec2, sizeof ec2) == 0 || memcmp(b, gcp, sizeof gcp) == 0;
}

static bool is_metadata(const struct curl_sockaddr *address) {
    const void *any = &address->addr;
    if (address->family == AF_INET) return is_metadata_v4(ntohl(((const struct sockaddr_in *)any)->sin_addr.s_addr));
    if (address->family == AF_INET6) return is_metadata_v6(&((const struct sockaddr_in6 *)any)->sin6_addr);
    return false;
}

bool ccurl_names_metadata(const char *text) {
    CURLU *url = curl_url();
    if (!url) return false;
    char *host = NULL;
    bool found = false;
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK
        && (curl_url_get(url, CURLUPART_HOST, &host, CURLU_PUNYCODE) == CURLUE_OK // makes digits of other scripts ours
            || curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)) {
        struct in_addr v4;
        struct in6_addr v6;
        size_t length = strlen(host);
        while (length > 1 && host[length - 1] == '.') host[--length] = 0;
        if (host[0] == '[' && host[length - 1] == ']') {
            host[length - 1] = 0;
            found = inet_pton(AF_INET6, host + 1, &v6) == 1 && is_metadata_v6(&v6);
        } else {
            // Takes all the ways to write an address that resolvers take.
            found = inet_aton(host, &v4) == 1 && is_metadata_v4(ntohl(v4.s_addr));
        }
    }
    curl_free(host);
    curl_url_cleanup(url);
    return found;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose;
    ccurl_sink *sink = context;
    if (!sink->allow_link_local && is_metadata(address)) {
        sink->address_refused = true;
        return CURL_SOCKET_BAD;
    }
    // libcurl's own sockets are not close-on-exec: a child process would inherit them.
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void ccurl_attach_sink(CURL *h, ccurl_sink *sink) {
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, sink);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, sink);
}

bool ccurl_sink_is_complete(const ccurl_sink *sink) {
    // What was thrown away was not unpacked: of a 304, a redirect or an error page nothing is missing.
    if (!keeps_body(sink)) return true;
    return sink->encoding != CCURL_GZIP || sink->stream_ended;
}

void ccurl_sink_reset(ccurl_sink *sink) {
    if (sink->inflater) {
        inflateEnd(sink->inflater);
        free(sink->inflater);
    }
    if (!sink->resize) free(sink->body);
    *sink = (ccurl_sink){
        .body_limit = sink->body_limit,
        .has_room = sink->has_room,
        .resize = sink->resize,
        .resize_context = sink->resize_context,
        .on_piece = sink->on_piece,
        .piece_context = sink->piece_context,
        .header_limit = sink->header_limit,
        .allow_link_local = sink->allow_link_local,
        .keep_all_bodies = sink->keep_all_bodies,
        .discard_bodies = sink->discard_bodies,
    };
}

void ccurl_prepare(CURL *h) {
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");   // the environment would be honoured
    curl_easy_setopt(h, CURLOPT_NOPROXY, ""); // and would take a configured one away
    curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); // a proxy's answer is not the origin's
    // An origin that has moved is found by its name's next address, not a minute later; and many that connect at once
    // still ask once.
    curl_easy_setopt(h, CURLOPT_DNS_CACHE_TIMEOUT, 1L);
    curl_easy_setopt(h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(h, CURLOPT_CA_CACHE_TIMEOUT, 0L); // else a replaced CA file stays trusted for a day
    curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);       // else a resolver that hangs holds up the whole thread
#endif
}

const char *ccurl_header(CURL *h, const char *name) {
    struct curl_header *header;
    if (curl_easy_header(h, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return NULL;
    return header->value;
}

CURL *ccurl_next_done(CURLM *m, CURLcode *result) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(m, &left))) {
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            return message->easy_handle;
        }
    }
    return NULL;
}
