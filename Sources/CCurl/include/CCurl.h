// libcurl for Swift: typed setters and getters for its variadic functions, and a bounded sink for what it receives.
#pragma once
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
// What Swift's Glibc module lacks.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#if LIBCURL_VERSION_NUM < 0x075500
#error "libcurl 7.85 or newer is needed (CURLOPT_PROTOCOLS_STR)"
#endif

static inline CURLcode ccurl_set_long(CURL *_Nonnull h, CURLoption o, long v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_off(CURL *_Nonnull h, CURLoption o, curl_off_t v) {
    return curl_easy_setopt(h, o, v);
}
static inline CURLcode ccurl_set_string(CURL *_Nonnull h, CURLoption o, const char *_Nullable v) {
    return curl_easy_setopt(h, o, v);
}
static inline CURLcode ccurl_set_pointer(CURL *_Nonnull h, CURLoption o, const void *_Nullable v) {
    return curl_easy_setopt(h, o, v);
}
/// Copies `length` bytes at `data` as the value of `o`.
static inline CURLcode ccurl_set_blob(CURL *_Nonnull h, CURLoption o, const void *_Nonnull data, size_t length) {
    struct curl_blob blob = {(void *)data, length, CURL_BLOB_COPY};
    return curl_easy_setopt(h, o, &blob);
}
static inline CURLcode ccurl_set_list(CURL *_Nonnull h, CURLoption o, struct curl_slist *_Nullable v) {
    return curl_easy_setopt(h, o, v);
}
/// Makes `h` hand what it receives to `writer`, piece by piece.
static inline void ccurl_set_writer(CURL *_Nonnull h, curl_write_callback _Nonnull writer, void *_Nonnull context) {
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, writer);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, context);
}
/// Has `h` ask about once a second, and whenever something happens, whether to go on: 0 for yes.
static inline void ccurl_set_progress(CURL *_Nonnull h, curl_xferinfo_callback _Nonnull progress,
                                      void *_Nonnull context) {
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, context);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
}
static inline CURLMcode ccurl_multi_set_long(CURLM *_Nonnull m, CURLMoption o, long v) {
    return curl_multi_setopt(m, o, v);
}
/// Has `m` tell which sockets it waits for, and until when.
static inline void ccurl_multi_set_waits(CURLM *_Nonnull m, curl_socket_callback _Nonnull on_socket,
                                         curl_multi_timer_callback _Nonnull on_timer, void *_Nonnull context) {
    curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(m, CURLMOPT_SOCKETDATA, context);
    curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(m, CURLMOPT_TIMERDATA, context);
}
static inline long ccurl_get_long(CURL *_Nonnull h, CURLINFO i) {
    long v = 0;
    curl_easy_getinfo(h, i, &v);
    return v;
}
static inline int64_t ccurl_get_off(CURL *_Nonnull h, CURLINFO i) {
    curl_off_t v = 0;
    curl_easy_getinfo(h, i, &v);
    return v;
}
static inline const char *_Nullable ccurl_get_string(CURL *_Nonnull h, CURLINFO i) {
    char *v = NULL;
    curl_easy_getinfo(h, i, &v);
    return v;
}
static inline void *_Nullable ccurl_get_private(CURL *_Nonnull h) {
    char *v = NULL;
    curl_easy_getinfo(h, CURLINFO_PRIVATE, &v);
    return v;
}

/// How much of an error page or a redirect's body is waited for: reading a page to its end keeps the connection, and
/// reading an endless one would keep it for ever.
static const size_t CCURL_DISCARD_LIMIT = 1 << 20;

/// What a body is wrapped in.
typedef enum ccurl_encoding { CCURL_IDENTITY, CCURL_GZIP, CCURL_UNKNOWN_ENCODING } ccurl_encoding;

/// Where one transfer's bytes go. Both bounds are hard: the byte past a bound aborts the transfer.
///
/// gzip is undone here and not by libcurl: libcurl calls a gzip stream that ends too early a success.
typedef struct ccurl_sink {
    /// The body of a response with status 200, after decompression. Bodies of other responses are thrown away.
    uint8_t *_Nullable body;
    size_t body_length;
    size_t body_capacity;
    /// Bounds the body after decompression, and the memory taken for it.
    size_t body_limit;
    /// Asked before much memory is taken; NULL to take it as it comes.
    bool (*_Nullable has_room)(size_t);
    /// Gives the body `*capacity` bytes or more and says how many, what is there so far kept; NULL without memory. The
    /// memory is then the owner's of this function. Without it: malloc's.
    uint8_t *_Nullable (*_Nullable resize)(void *_Nullable context, size_t *_Nonnull capacity);
    void *_Nullable resize_context;
    /// Told after each piece of the body, for whoever takes it while it comes. NULL for nobody.
    void (*_Nullable on_piece)(void *_Nullable context);
    void *_Nullable piece_context;
    size_t header_length;
    /// Bounds all header lines of all responses of the transfer together.
    size_t header_limit;
    /// Bytes of thrown-away bodies; bounded by CCURL_DISCARD_LIMIT.
    size_t discarded_length;
    void *_Nullable inflater;
    ccurl_encoding encoding;
    int status;
    bool stream_ended;
    bool body_exceeded;
    bool header_exceeded;
    bool encoding_unknown;
    bool encoding_broken;
    /// The response gave two different Content-Lengths: where it ends is anybody's guess.
    bool lengths_conflict;
    /// The Content-Length of the current response plus one; 0 for none.
    unsigned long long declared_length;
    bool out_of_memory;
    /// A link-local (cloud metadata) address was refused.
    bool address_refused;
    bool allow_link_local;
    /// Keep the bodies of all responses, for those who read error messages.
    bool keep_all_bodies;
    /// Of what answers a question only the head matters; the body is let pass, up to the limit.
    bool discard_bodies;
} ccurl_sink;

/// Sets what every transfer of ours has in common: no signals, no environment, no old protocols, TLS 1.2 at least.
void ccurl_prepare(CURL *_Nonnull h);
/// Makes `h` write into `sink`, count its headers there, and open close-on-exec sockets under its address rule.
/// `sink` must outlive the transfer.
void ccurl_attach_sink(CURL *_Nonnull h, ccurl_sink *_Nonnull sink);
/// Whether a compressed body came to its own end, checksum and all; true for one that is not compressed.
bool ccurl_sink_is_complete(const ccurl_sink *_Nonnull sink);
/// Frees the body, unless it is the memory of somebody else's, and clears the counts; the limits stay.
void ccurl_sink_reset(ccurl_sink *_Nonnull sink);

/// The last response's first header `name`, or NULL. Valid until the handle's next transfer.
const char *_Nullable ccurl_header(CURL *_Nonnull h, const char *_Nonnull name);

/// Seconds since 1970 of an HTTP date, or -1.
/// Whether the host of a URL is written as an address that is refused: see CCurl.c for which these are.
bool ccurl_names_metadata(const char *_Nonnull url);

static inline int64_t ccurl_date(const char *_Nonnull text) { return (int64_t)curl_getdate(text, NULL); }

/// A finished transfer of `m` and its result, or NULL when there is none left.
CURL *_Nullable ccurl_next_done(CURLM *_Nonnull m, CURLcode *_Nonnull result);
