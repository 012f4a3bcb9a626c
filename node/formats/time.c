#include "node/formats/time.h"

#include <stdio.h>

static const int64_t day_ms = INT64_C(86400000);

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar (years begin in March for the leap day). */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t month_days(int64_t y, int64_t m)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m == 2 && leap ? 29 : days[m - 1];
}

/* n digits at s[*at]; -1 when there are others. */
static int64_t number(const char *s, size_t len, size_t *at, size_t n)
{
    int64_t v = 0;
    if (len - *at < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char c = s[*at + i];
        if (c < '0' || c > '9')
            return -1;
        v = v * 10 + (c - '0');
    }
    *at += n;
    return v;
}

static bool literal(const char *s, size_t len, size_t *at, char c)
{
    if (*at >= len || s[*at] != c)
        return false;
    ++*at;
    return true;
}

/* ".1415" -> 142; false when no digit follows the point. */
static bool fraction(const char *s, size_t len, size_t *at, int64_t *ret_ms)
{
    int64_t ms = 0;
    size_t n = 0;
    if (!literal(s, len, at, '.'))
        return true;
    for (; *at < len && s[*at] >= '0' && s[*at] <= '9'; ++*at, n++) {
        if (n < 3)
            ms = ms * 10 + (s[*at] - '0');
        else if (n == 3)
            ms += s[*at] >= '5';
    }
    /* fewer than three digits: scale; rounding has not happened then */
    for (size_t i = n; i < 3; i++)
        ms *= 10;
    *ret_ms = ms;
    return n > 0;
}

static bool zone(const char *s, size_t len, size_t *at, int64_t *ret_minutes)
{
    if (literal(s, len, at, 'Z')) {
        *ret_minutes = 0;
        return true;
    }
    bool west = *at < len && s[*at] == '-';
    if (!west && !(*at < len && s[*at] == '+'))
        return false;
    ++*at;
    int64_t h = number(s, len, at, 2);
    bool colon = literal(s, len, at, ':');
    int64_t m = number(s, len, at, 2);
    if (!colon || h < 0 || m < 0 || m > 59 || h * 60 + m > 840)
        return false;
    *ret_minutes = west ? -(h * 60 + m) : h * 60 + m;
    return true;
}

bool cn_time_parse(const char *s, size_t n, int64_t *ret_ms)
{
    size_t at = 0;
    int64_t year = number(s, n, &at, 4);
    bool ok = literal(s, n, &at, '-');
    int64_t month = number(s, n, &at, 2);
    ok = literal(s, n, &at, '-') && ok;
    int64_t day = number(s, n, &at, 2);
    ok = literal(s, n, &at, 'T') && ok;
    int64_t hour = number(s, n, &at, 2);
    ok = literal(s, n, &at, ':') && ok;
    int64_t minute = number(s, n, &at, 2);
    ok = literal(s, n, &at, ':') && ok;
    int64_t second = number(s, n, &at, 2), ms = 0, offset = 0;
    if (!ok || year < 1 || month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    if (!fraction(s, n, &at, &ms) || !zone(s, n, &at, &offset) || at != n)
        return false;
    *ret_ms = days_of(year, month, day) * day_ms + ((hour * 60 + minute - offset) * 60 + second) * 1000 + ms;
    return true;
}

void cn_time_format(int64_t ms, char out[CN_TIME_TEXT])
{
    int64_t days = ms / day_ms - (ms % day_ms < 0), rest = ms - days * day_ms;
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t yoe = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t doy = of_era - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9), year = (int)(yoe + era * 400 + (month <= 2));
    snprintf(out, CN_TIME_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, (int)(doy - (153 * mp + 2) / 5 + 1),
             (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60), (int)(rest % 1000));
}

bool cn_time_offset_valid(const char *s, size_t n)
{
    size_t at = 0;
    int64_t minutes;
    return n == 6 && s[0] != 'Z' && zone(s, n, &at, &minutes) && at == n;
}
