/* command_line.h - what these programs have in common: their arguments, and where they listen.
 *
 * Arguments are taken in order, and each may be missing.  What cannot be understood ends the
 * program with status 2 and the usage. */
#ifndef EXAMPLES_COMMAND_LINE_H
#define EXAMPLES_COMMAND_LINE_H
#include <ctrio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command_line {
    int left;
    char **next;
    const char *usage;
};

static inline struct command_line command_line_of(int argc, char **argv, const char *usage)
{
    return (struct command_line){argc - 1, argv + 1, usage};
}

static inline void refuse(const struct command_line *line, const char *word, const char *why)
{
    fprintf(stderr, "%s: %s\nusage: %s\n", word, why, line->usage);
    exit(2);
}

static inline bool take_flag(struct command_line *line, const char *flag)
{
    if (line->left == 0 || strcmp(*line->next, flag) != 0)
        return false;
    line->left--;
    line->next++;
    return true;
}

static inline const char *take_text(struct command_line *line, const char *usual)
{
    if (line->left == 0)
        return usual;
    if (**line->next == '-')
        refuse(line, *line->next, "no such option");
    line->left--;
    return *line->next++;
}

static inline double take_number(struct command_line *line, double usual, double least, double most)
{
    const char *word = take_text(line, NULL);
    char why[64], *end;
    if (word == NULL)
        return usual;
    double number = strtod(word, &end);
    if (end == word || *end != '\0' || !(number >= least && number <= most)) {
        snprintf(why, sizeof why, "not a number from %g to %g", least, most);
        refuse(line, word, why);
    }
    return number;
}

static inline int take_count(struct command_line *line, int usual, int least, int most)
{
    return (int)take_number(line, usual, least, most);
}

static inline uint16_t take_port(struct command_line *line, uint16_t usual)
{
    return (uint16_t)take_count(line, usual, 0, UINT16_MAX);
}

static inline void take_no_more(const struct command_line *line)
{
    if (line->left > 0)
        refuse(line, *line->next, "one argument too many");
}

/* Port 0 has become a real one by now; who started us may be waiting to read it. */
static inline void print_addresses(const struct ctrio_listener *listener)
{
    char text[CTRIO_ADDRESS_TEXT_SIZE];
    struct ctrio_address address;
    for (size_t i = 0; ctrio_listener_address(listener, i, &address) == 0; i++)
        printf("listening on %s\n", ctrio_address_format(&address, text, sizeof text));
    fflush(stdout);
}
#endif
