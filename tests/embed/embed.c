/* A program of somebody else: C99 and C++ without extensions, this one header, the flags of pkg-config.
 *
 *   embed GENESIS-DIGEST FILE.zip accepted|STEP     exit status 0: it is so; 1: it is not */
#include <carnet-verify.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static unsigned char zip[1 << 20];

int main(int argc, char **argv)
{
    carnet_verify_options *options = carnet_verify_options_new();
    carnet_verify_report *report = NULL;
    FILE *file = argc == 4 ? fopen(argv[2], "rb") : NULL;
    size_t n = file != NULL ? fread(zip, 1, sizeof zip, file) : 0;
    int status = CARNET_VERIFY_MISUSE, as_expected = 0;
    size_t step;

    setlocale(LC_ALL, "");
    if (file != NULL && carnet_verify_set_genesis_hex(options, argv[1]) == CARNET_VERIFY_OK)
        status = carnet_verify_dossier(zip, n, options, &report);
    if (status == CARNET_VERIFY_OK) {
        printf("%s: %lu statements\n", carnet_verify_report_subject(report),
               (unsigned long)carnet_verify_report_subject_statements(report));
        as_expected = strcmp(argv[3], "accepted") == 0;
    } else if (status == CARNET_VERIFY_REFUSED) {
        step = carnet_verify_report_find(report, argv[3]);
        printf("%s: %s\n", carnet_verify_report_step_where(report, step),
               carnet_verify_report_step_reason(report, step));
        as_expected = carnet_verify_report_step_verdict(report, step) == CARNET_VERIFY_FAILED;
    }
    if (file != NULL)
        fclose(file);
    carnet_verify_report_free(report);
    carnet_verify_options_free(options);
    return as_expected ? 0 : 1;
}
