#include "node/formats/html.h"

#include "node/formats/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void html(cn_buf *out, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CN_ASSERT(n >= 0 && (size_t)n < sizeof text); /* our own words only: long text goes through html_text */
    cn_put_bytes(out, text, (size_t)n);
}

/* Length of one UTF-8 character and its value; 0: none. */
static size_t character(const unsigned char *s, size_t n, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80             ? 1
                 : (s[0] & 0xe0) == 0xc0 ? 2
                 : (s[0] & 0xf0) == 0xe0 ? 3
                 : (s[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return len;
}

/* Characters that are seen as nothing, or that move others about. */
static bool invisible(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x180b && c <= 0x180f) ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xffff) || c >= 0xe0000 ||
           (c & 0xfffe) == 0xfffe;
}

static void put_character(cn_buf *out, const char *s, size_t len, uint32_t c)
{
    char code[16];
    switch (c) {
    case '&':
        cn_put_bytes(out, "&amp;", 5);
        return;
    case '<':
        cn_put_bytes(out, "&lt;", 4);
        return;
    case '>':
        cn_put_bytes(out, "&gt;", 4);
        return;
    case '"':
        cn_put_bytes(out, "&quot;", 6);
        return;
    case '\'':
        cn_put_bytes(out, "&#39;", 5);
        return;
    default:
        break;
    }
    if (invisible(c))
        cn_put_bytes(out, code, (size_t)snprintf(code, sizeof code, "[U+%04X]", (unsigned)c));
    else
        cn_put_bytes(out, s, len);
}

void html_text(cn_buf *out, const char *s, size_t n)
{
    size_t shown = n > HTML_TEXT_MAX ? HTML_TEXT_MAX : n, i = 0;
    while (i < shown) {
        uint32_t c = 0;
        char code[16];
        size_t len = character((const unsigned char *)s + i, n - i, &c);
        if (len)
            put_character(out, s + i, len, c);
        else
            cn_put_bytes(out, code, (size_t)snprintf(code, sizeof code, "[0x%02X]", (unsigned char)s[i]));
        i += len ? len : 1;
    }
    if (i < n)
        html(out, "&#8230; <small>(%zu bytes in all)</small>", n);
}

void html_string(cn_buf *out, const char *s)
{
    html_text(out, s, strlen(s));
}

void html_term(cn_buf *out, cn_text term)
{
    char words[128];
    size_t n = 0, begin = 0;
    for (size_t i = 0; i < term.n; i++)
        if (term.s[i] == '/' || term.s[i] == '#' || term.s[i] == ':')
            begin = i + 1;
    if (term.n - begin > 60 || begin == term.n) {
        html_text(out, term.s, term.n);
        return;
    }
    for (size_t i = begin; i < term.n; i++) {
        char c = term.s[i];
        bool hump = c >= 'A' && c <= 'Z' && i > begin && term.s[i - 1] >= 'a' && term.s[i - 1] <= 'z';
        if (hump)
            words[n++] = ' ';
        words[n++] = c == '_' ? ' ' : hump ? (char)(c | 0x20) : c;
    }
    html_text(out, words, n);
}

void html_time(cn_buf *out, int64_t ms)
{
    char text[CN_TIME_TEXT];
    cn_time_format(ms, text);
    html(out, "<time datetime=\"%s\">%.10s&#160;%.8s</time>", text, text, text + 11);
}
