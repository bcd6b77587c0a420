#define _GNU_SOURCE
#include "CCurl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static size_t take_body(char *data, size_t size, size_t count, void *context) {
    ccurl_sink *sink = context;
    size_t length = size * count;
    if (length > sink->body_limit - sink->body_length) {
        sink->body_exceeded = true;
        return 0;
    }
    size_t needed = sink->body_length + length;
    if (needed > sink->body_capacity) {
        size_t capacity = sink->body_capacity ? sink->body_capacity : 4096;
        while (capacity < needed) capacity *= 2;
        if (capacity > sink->body_limit) capacity = sink->body_limit;
        uint8_t *grown = realloc(sink->body, capacity);
        if (!grown) {
            sink->out_of_memory = true;
            return 0;
        }
        sink->body = grown;
        sink->body_capacity = capacity;
    }
    memcpy(sink->body + sink->body_length, data, length);
    sink->body_length = needed;
    return length;
}

static size_t take_header(char *data, size_t size, size_t count, void *context) {
    (void)data;
    ccurl_sink *sink = context;
    size_t length = size * count;
    if (length > sink->header_limit - sink->header_length) {
        sink->header_exceeded = true;
        return 0;
    }
    sink->header_length += length;
    return length;
}

static bool is_link_local(const struct curl_sockaddr *address) {
    if (address->family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&address->addr;
        return (ntohl(v4->sin_addr.s_addr) & 0xFFFF0000u) == 0xA9FE0000u; // 169.254.0.0/16
    }
    if (address->family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&address->addr;
        const uint8_t *b = v6->sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return b[12] == 169 && b[13] == 254;
        static const uint8_t ec2[16] = {0xfd, 0x00, 0x0e, 0xc2, [15] = 0x54};
        return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) || memcmp(b, ec2, 14) == 0;
    }
    return false;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose;
    ccurl_sink *sink = context;
    if (!sink->allow_link_local && is_link_local(address)) {
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

void ccurl_sink_reset(ccurl_sink *sink) {
    free(sink->body);
    sink->body = NULL;
    sink->body_length = sink->body_capacity = sink->header_length = 0;
    sink->body_exceeded = sink->header_exceeded = sink->out_of_memory = sink->address_refused = false;
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
